//! The builder of all HTTP clients of the program, and the text of their errors.

/// The causes of an error as text. The text of reqwest's outermost error repeats the URL and lacks the reason.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

/// Returns a builder of HTTP clients. Installs ring as the crypto provider of the process, because reqwest is built
/// without one (feature `rustls-no-provider`).
pub(super) fn client_builder() -> reqwest::ClientBuilder {
    // An error means that the provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
