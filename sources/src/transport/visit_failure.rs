//! Why a page was not seen in the browser, and whose doing that is.

use fantoccini::error::CmdError;

/// Why there is no page.
#[derive(Debug)]
pub enum VisitFailure {
    /// The host did not answer; the session is well.
    Host(String),
    /// The page is not what may be taken; the session is well.
    Page(String),
    /// The page's list did not come to its end: perhaps the session's cookies have expired.
    CutShort(String),
    /// The page keeps its browser busy without end. The session is of no more use, nor is another attempt.
    Busy(String),
    /// The browser hangs, or the page in it. The session is of no more use.
    Hung(String),
    /// The session, or its tab, is gone.
    Lost(String),
}

/// A navigation that failed: Firefox shows `about:neterror` where the host does not answer.
pub fn navigation_failure(error: &CmdError) -> VisitFailure {
    match error {
        CmdError::Standard(standard) if standard.message.contains("about:neterror") => {
            let reason = standard
                .message
                .split("e=")
                .nth(1)
                .and_then(|rest| rest.split('&').next())
                .unwrap_or("unknown reason");
            VisitFailure::Host(format!("no answer in the browser: {reason}"))
        }
        CmdError::Standard(standard) if error.is_insecure_certificate() => {
            VisitFailure::Host(format!("certificate refused: {}", standard.message))
        }
        _ => VisitFailure::Lost(error.to_string()),
    }
}
