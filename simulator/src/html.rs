//! The frame of all HTML pages: head, navigation, overlay and scripts as in an Angular application; also error pages.

use crate::json::Json;

/// The cookie that identifies a browser session.
pub(crate) const SESSION_COOKIE: &str = "simulator_session=";

/// Escapes text for HTML content and attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            other => out.push(other),
        }
    }
    out
}

/// Reports the browser session, and whether a driver controls it, to the host of the page.
const BEACON: &str = r#"
(function () {
  var kept = document.cookie.match(/simulator_session=([^;]+)/);
  var session = kept ? kept[1] : Math.random().toString(36).slice(2) + Date.now().toString(36);
  document.cookie = 'simulator_session=' + session + '; path=/';
  fetch('/__simulator/beacon', {
    method: 'POST',
    body: JSON.stringify({ session: session, webdriver: navigator.webdriver === true, path: location.pathname + location.search })
  }).catch(function () {});
  var close = document.getElementById('popupAdsClose');
  if (close) { close.addEventListener('click', function () { document.getElementById('popupAds').remove(); }); }
})();"#;

/// Fetches and decodes an encoded answer of the host and builds the page from it.
const BUILD: &str = r#"
function simulatorBuild(address, afterMillis, done) {
  fetch(address).then(function (answer) { return answer.ok ? answer.json() : Promise.reject(answer.status); }).then(function (packed) {
    var letters = atob(packed.d), bytes = new Uint8Array(letters.length);
    for (var place = 0; place < letters.length; place++) { bytes[place] = letters.charCodeAt(place) ^ ((packed.k + place * 7) & 255); }
    setTimeout(function () {
      document.querySelector('app-root').innerHTML = new TextDecoder().decode(bytes);
      if (done) { done(); }
    }, afterMillis);
  }).catch(function (why) {
    document.querySelector('app-root').innerHTML = '<div class="errorPage"><h1>404</h1></div>';
  });
}"#;

const OVERLAY: &str = r#"<div id="popupAds" class="popupAds" style="position:fixed;top:0;left:0;width:100%;height:100%;z-index:9999;background:rgba(0,0,0,.6)"><div class="popupAds-content"><button id="popupAdsClose" type="button" aria-label="close">&times;</button><span>โปรโมชั่น</span></div></div>"#;

/// A whole page; `root` is the content of `app-root`.
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    pub(crate) root: &'a str,
    /// The embedded state as JSON.
    pub(crate) state: Option<Json>,
    pub(crate) overlay: bool,
    /// Additional script.
    pub(crate) script: &'a str,
}

impl Page<'_> {
    pub(crate) fn html(&self) -> String {
        // Angular has two ways to embed a state. The title's length selects one, so that a page always uses the same
        // way.
        let state = self.state.as_ref().map(|state| {
            let json = state.to_string();
            if self.title.len().is_multiple_of(2) {
                format!(
                    "<script id=\"serverApp-state\" type=\"application/json\">{}</script>",
                    state_escaped(&json)
                )
            } else {
                format!(
                    "<script id=\"ng-state\" type=\"application/json\">{}</script>",
                    json.replace('<', "\\u003C")
                )
            }
        });
        format!(
            concat!(
                "<!DOCTYPE html><html lang=\"th\" data-critters-container=\"\"><head><meta charset=\"utf-8\"><title>{title}</title><base href=\"/\">",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">",
                "<style ng-app-id=\"serverApp\">[_ngcontent-ng-c123]{{box-sizing:border-box}}.fund-scroll{{height:400px;overflow-y:auto}}</style></head>",
                "<body class=\"mat-typography\"><!--nghm--><app-root _nghost-ng-c123=\"\" ng-version=\"17.3.12\" ng-server-context=\"ssr\">{root}</app-root>",
                "{overlay}<script type=\"text/javascript\">{build}{beacon}{script}</script>{state}</body></html>"
            ),
            title = escaped(self.title),
            root = self.root,
            overlay = if self.overlay { OVERLAY } else { "" },
            build = BUILD,
            beacon = BEACON,
            script = self.script,
            state = state.unwrap_or_default(),
        )
    }
}

/// How long a script takes to build a page after it has fetched the values.
const BUILD_MILLIS: u32 = 150;

/// A page whose root is empty until its script has fetched and decoded the content from `address`, a JavaScript
/// expression. The script then calls `done`, a function of `more_script` or `null`.
pub(crate) fn scripted_page(title: &str, address: &str, done: &str, more_script: &str) -> String {
    let root = "<noscript>You need to enable JavaScript to run this app.</noscript><div class=\"loading-spinner\"></div>";
    let script = format!("{more_script}\nsimulatorBuild({address}, {BUILD_MILLIS}, {done});");
    Page {
        title,
        root,
        state: None,
        overlay: true,
        script: &script,
    }
    .html()
}

/// Encodes a root for `simulatorBuild`: base64 of the UTF-8 bytes, each changed by its position.
pub(crate) fn packed(root: &str) -> Json {
    let key = root.len() % 251;
    let bytes: Vec<u8> = root
        .bytes()
        .enumerate()
        .map(|(place, byte)| byte ^ (((key + place * 7) & 255) as u8))
        .collect();
    Json::Object(vec![
        ("k", Json::raw(key)),
        ("d", Json::text(base64(&bytes))),
    ])
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            out.push(if place <= three.len() {
                char::from(LETTERS[word >> (18 - 6 * place) & 63])
            } else {
                '='
            });
        }
    }
    out
}

/// Applies Angular's escapes to an embedded state.
fn state_escaped(json: &str) -> String {
    json.replace('&', "&a;")
        .replace('"', "&q;")
        .replace('\'', "&s;")
        .replace('<', "&l;")
        .replace('>', "&g;")
}

/// Puts navigation and footer around a page's content.
pub(crate) fn with_navigation(content: &str) -> String {
    format!(
        concat!(
            "<app-header _ngcontent-ng-c123=\"\" _nghost-ng-c456=\"\"><header _ngcontent-ng-c456=\"\" class=\"header\"><nav _ngcontent-ng-c456=\"\" class=\"navbar\">",
            "<ul _ngcontent-ng-c456=\"\"><li><a href=\"/funds\">กองทุน</a></li><li><a href=\"/news\">ข่าว</a></li></ul></nav></header></app-header><!---->",
            "<router-outlet _ngcontent-ng-c123=\"\"></router-outlet><main _ngcontent-ng-c123=\"\"><div _ngcontent-ng-c123=\"\" class=\"container\">{}</div></main><!---->",
            "<app-footer _ngcontent-ng-c123=\"\"><footer>© 2026</footer></app-footer>"
        ),
        content
    )
}

/// An error page: a heading and no fund.
pub(crate) fn error_page(status: u16) -> String {
    let heading = if status == 404 {
        "404 ไม่พบหน้าที่ต้องการ"
    } else {
        "เกิดข้อผิดพลาด กรุณาลองใหม่อีกครั้ง"
    };
    let root = with_navigation(&format!(
        "<div class=\"errorPage\"><h1>{heading}</h1></div>"
    ));
    Page {
        title: "Error",
        root: &root,
        state: None,
        overlay: false,
        script: "",
    }
    .html()
}

/// The 403 page for clients that are not a browser. In a browser, its script sets the session cookie and reloads the
/// page.
pub(crate) fn challenge_page() -> String {
    let root = "<h1>Checking your browser</h1><noscript>Enable JavaScript and cookies to continue</noscript>";
    Page {
        title: "Just a moment...",
        root,
        state: None,
        overlay: false,
        script: "\nlocation.reload();",
    }
    .html()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_as_base64() {
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(base64(b"M"), "TQ==");
    }
}
