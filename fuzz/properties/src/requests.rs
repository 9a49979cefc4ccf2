//! Requests that are built from a site's own texts: keys and locators come from hostile lists.

use sources::Site;

use crate::holds;
use crate::pages::{finnomena, sec_fundcheck, task, wealthmagik};

/// The hosts that may be requested.
const HOSTS: [&str; 4] = [
    "www.finnomena.com",
    "www.wealthmagik.com",
    "fundcheck.sec.or.th",
    "web-fct-api.sec.or.th",
];

/// The first line is a task's key, the rest its locator. No request leaves the site; factsheets are requested only from
/// listed hosts.
pub fn requests(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (key, locator) = match text.split_once('\n') {
        Some((key, locator)) => (key, Some(locator)),
        None => (text.as_ref(), None),
    };
    for site in [finnomena(), wealthmagik(), sec_fundcheck()] {
        for page in site.pages() {
            let task = task(site.as_ref(), page.name, key, locator);
            let asked = site
                .request(page, std::slice::from_ref(&task))
                .map(|request| request.url);
            let visited = site
                .by_browser(page, &task)
                .map(|way| way.map(|way| way.url().clone()));
            let is_factsheet = page.name == "factsheet";
            for url in [asked.map(Some), visited].into_iter().flatten().flatten() {
                let host = url.host_str().unwrap_or("");
                let own = HOSTS.contains(&host) && url.scheme() == "https";
                let listed = is_factsheet && host == "docs.example.org";
                let own_sheet = is_factsheet && HOSTS.contains(&host);
                assert!(own || listed || own_sheet, "{} asks {url}", task.id);
            }
        }
        refusals(site.as_ref(), key, locator);
    }
}

/// A key or locator without a valid request is refused with a bounded message.
fn refusals(site: &dyn Site, key: &str, locator: Option<&str>) {
    // Only keys and locators within the limits of the lists' readers.
    if key.chars().count() > 100 || locator.is_some_and(|link| link.chars().count() > 300) {
        return;
    }
    for page in site.pages() {
        let task = task(site, page.name, key, locator);
        if let Err(sentence) = site.request(page, &[task]) {
            holds::message(&sentence.replace('\0', ""));
        }
    }
}
