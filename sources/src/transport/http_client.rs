//! What all HTTP clients of the program share.

/// The causes of an error. The text of reqwest's outermost error repeats the URL and lacks the reason.
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

/// A builder of HTTP clients, with ring as the process's crypto provider: reqwest has none of its own here.
pub(super) fn client_builder() -> reqwest::ClientBuilder {
    // An error means that the provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}
