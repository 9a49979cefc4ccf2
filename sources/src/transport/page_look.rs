//! The scripts that inspect a page, and the interpretation of their results. The rules are pure.

use serde::Deserialize;
use serde_json::Value;

use super::visit_failure::VisitFailure;

/// Inspects the page; changes it only by clicking the overlay.
pub const LOOK: &str = r"
const [ready, overlay, items, since] = arguments;
let clicked = false;
if (overlay) {
  const element = document.querySelector(overlay);
  if (element && element.getClientRects().length > 0) { element.click(); clicked = true; }
}
let lost = null;
if (items) {
  performance.setResourceTimingBufferSize(20000);
  const own = performance.getEntriesByType('resource').filter((entry) =>
    since !== null && entry.startTime >= since && entry.responseEnd > 0 && entry.name.startsWith(location.origin + '/')
    && (entry.initiatorType === 'fetch' || entry.initiatorType === 'xmlhttprequest'));
  const failed = own.find((entry) => entry.responseStatus >= 400 || entry.responseStatus === 0 || entry.redirectStart > 0);
  if (failed) { lost = failed.name + (failed.redirectStart > 0 ? ' was redirected' : ' was answered ' + failed.responseStatus); }
}
const navigation = performance.getEntriesByType('navigation')[0];
const isReady = document.readyState !== 'loading' && (ready.length === 0 || ready.some((css) => document.querySelector(css) !== null));
const root = document.querySelector('app-root, [ng-version], #root, #app, #__next') || document.body;
const shown = document.documentURI.startsWith('about:') ? document.documentURI : location.href;
return {
  ready: isReady,
  loading: document.readyState === 'loading',
  complete: document.readyState === 'complete',
  rendered: isReady || (root !== null && (root.innerText || '').trim().length > 0),
  clicked,
  size: document.documentElement ? document.documentElement.outerHTML.length : 0,
  items: items ? document.querySelectorAll(items).length : 0,
  status: navigation && navigation.responseStatus ? navigation.responseStatus : 0,
  url: shown,
  login: [...document.querySelectorAll('input[type=password]')].some((field) => field.getClientRects().length > 0),
  lost,
  now: performance.now(),
  born: performance.timeOrigin,
};";

/// Scrolls the nearest scrollable ancestor of the list's items, and the window, to the end.
pub const SCROLL: &str = r"
const items = document.querySelectorAll(arguments[0]);
const last = items[items.length - 1];
if (last) {
  last.scrollIntoView({block: 'end'});
  for (let box = last.parentElement; box; box = box.parentElement) {
    const overflow = getComputedStyle(box).overflowY;
    if (box.scrollHeight > box.clientHeight && (overflow === 'auto' || overflow === 'scroll')) {
      box.scrollTop = box.scrollHeight;
      box.dispatchEvent(new Event('scroll'));
      break;
    }
  }
}
window.scrollTo(0, document.documentElement.scrollHeight);
return null;";

/// Returns the creation time of the document, and the document itself. If it is longer than the limit, returns only its
/// length, so that it need not leave the browser.
pub const DOCUMENT: &str = r"
const html = document.documentElement.outerHTML;
return [performance.timeOrigin, html.length > arguments[0] ? html.length : html];";

/// Returns as soon as the page lets any script run.
pub const PULSE: &str = "return null;";

/// The result of [`LOOK`].
#[derive(Debug, Clone, Deserialize)]
pub struct Look {
    /// Whether the document is parsed and one of the selectors of [`crate::site::BrowserVisit::ready_css`] matches.
    pub ready: bool,
    /// Whether the document is still loading.
    pub loading: bool,
    /// Whether the document and everything that it embeds are loaded.
    pub complete: bool,
    /// Whether the application's root element shows some text.
    pub rendered: bool,
    /// Whether the overlay was present and was clicked.
    pub clicked: bool,
    /// The length of the document, in characters.
    pub size: u64,
    /// The number of items of the list.
    pub items: u64,
    /// HTTP status of the document; 0: unknown.
    pub status: u16,
    /// The URL that the browser shows.
    pub url: String,
    /// Whether the page shows a password field.
    pub login: bool,
    /// A request of a script to the page's own host that failed while the list was scrolled.
    pub lost: Option<String>,
    /// The page's clock, in milliseconds.
    pub now: f64,
    /// When the document was created. Used only to recognise a different document.
    pub born: serde_json::Number,
}

/// Returns the document of [`DOCUMENT`] if it is the one that was looked at and is at most `max_bytes` long.
pub fn taken(document: Value, looked_at: &Look, max_bytes: usize) -> Result<String, VisitFailure> {
    let too_large =
        |size: String| format!("the document has {size}; at most {max_bytes} bytes are accepted");
    let why = match serde_json::from_value(document) {
        Ok((born, _)) if looked_at.born != born => {
            "the page went on to another document, which was not used".to_owned()
        }
        Ok((_, Value::String(html))) if html.len() <= max_bytes => return Ok(html),
        Ok((_, Value::String(html))) => too_large(format!("{} bytes", html.len())),
        Ok((_, Value::Number(letters))) => too_large(format!("{letters} letters")),
        Ok(_) | Err(_) => "the browser holds no document".to_owned(),
    };
    Err(VisitFailure::Page(why))
}

/// The reason why a list that showed `count` items is incomplete; `None` if it is not. Compares the page at the time it
/// became ready with the page now.
pub fn cut_short(first: &Look, now: &Look, count: u64) -> Option<String> {
    let shown = |text: &str| text.chars().take(200).collect::<String>();
    let without_fragment = |url: &str| url.split('#').next().map(str::to_owned);
    if without_fragment(&first.url) != without_fragment(&now.url) {
        return Some(format!("the page went on to {}", shown(&now.url)));
    }
    // Another document with the same URL: its list and its clock start again.
    if first.born != now.born {
        return Some("the page reloaded itself".to_owned());
    }
    if let Some(lost) = &now.lost {
        return Some(shown(lost));
    }
    if now.login && !first.login {
        return Some("the page asks for a password".to_owned());
    }
    (now.items < count).then(|| format!("{} items are left", now.items))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(url: &str, items: u64) -> Look {
        Look {
            ready: true,
            loading: false,
            complete: true,
            rendered: true,
            clicked: false,
            size: 0,
            items,
            status: 200,
            url: url.to_owned(),
            login: false,
            lost: None,
            now: 0.0,
            born: 0.into(),
        }
    }

    #[test]
    fn d3_a_list_that_stops_for_a_reason_is_no_whole_list() {
        let first = look("https://a.th/port", 20);
        let lost = Look {
            lost: Some("https://a.th/api?offset=20 was answered 401".to_owned()),
            ..look("https://a.th/port", 20)
        };
        let login = Look {
            login: true,
            ..look("https://a.th/port", 20)
        };
        let anew = Look {
            born: 1.into(),
            ..look("https://a.th/port", 20)
        };
        for (now, words) in [
            (look("https://a.th/port", 20), None),
            (anew, Some("reloaded itself")),
            (look("https://a.th/port#row-20", 40), None),
            (
                look("https://a.th/login", 0),
                Some("went on to https://a.th/login"),
            ),
            (look("https://a.th/port", 19), Some("19 items are left")),
            (lost, Some("answered 401")),
            (login, Some("password")),
        ] {
            let why = cut_short(&first, &now, 20);
            assert_eq!(why.is_some(), words.is_some(), "{why:?}");
            assert!(
                words.is_none_or(|words| why.is_some_and(|why| why.contains(words))),
                "{words:?}"
            );
        }
        // A login form that the page always shows is no evidence.
        let always = Look {
            login: true,
            ..look("https://a.th/port", 20)
        };
        assert_eq!(cut_short(&always, &always, 20), None);
    }

    #[test]
    fn only_the_document_that_was_looked_at_is_taken_and_no_more_than_may_be() {
        let seen = look("https://a.th/port", 0);
        for (document, outcome) in [
            (json!([0, "<p>"]), Ok("<p>")),
            (json!([1, "<p>"]), Err("went on to another document")),
            (json!([0, "<pp>"]), Err("has 4 bytes; at most 3 bytes")),
            (json!([0, 4]), Err("has 4 letters; at most 3 bytes")),
            (json!([0, null]), Err("holds no document")),
            (json!(null), Err("holds no document")),
        ] {
            match (taken(document, &seen, 3), outcome) {
                (Ok(html), Ok(expected)) => assert_eq!(html, expected),
                (Err(VisitFailure::Page(why)), Err(words)) => assert!(why.contains(words), "{why}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }
}
