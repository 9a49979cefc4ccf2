//! The settings that make Firefox a polite client: truthful User-Agent, no images, no requests to other hosts, no
//! telemetry, no downloads. Also the directories of its profiles, and the removal of abandoned ones.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use url::Url;

use super::processes;
use super::proxy::{NOWHERE, Proxies};

/// The prefix of every profile directory. Only directories with this prefix are ever removed as abandoned.
const PREFIX: &str = "master_runner-firefox-";
const LOCK_FILE: &str = "in-use";
/// The name of the lock file until it is locked.
const NEW_LOCK_FILE: &str = "in-use.new";
/// A directory without a lock file is swept only if it is older than this: its owner may be about to create the file.
const UNLOCKED_AGE: Duration = Duration::from_secs(600);

/// The capabilities to request for a session.
pub struct Capabilities {
    firefox: Map<String, Value>,
    page_timeout: Duration,
}

/// The capabilities of a session. It may load only from `own_hosts`.
pub fn capabilities(
    user_agent: &str,
    own_hosts: &[Url],
    headless: bool,
    page_timeout: Duration,
) -> Capabilities {
    let mut firefox = Map::new();
    let args = if headless {
        json!(["-headless"])
    } else {
        json!([])
    };
    firefox.insert("args".to_owned(), args);
    firefox.insert("prefs".to_owned(), preferences(user_agent, own_hosts));
    Capabilities {
        firefox,
        page_timeout,
    }
}

impl Capabilities {
    /// Sets the Firefox program to start.
    pub fn with_binary(mut self, firefox: &Path) -> Self {
        let path = firefox.to_string_lossy().into_owned();
        self.firefox
            .insert("binary".to_owned(), Value::String(path));
        self
    }

    /// Sets the download directory. It is watched, and its content is deleted.
    pub fn with_downloads(mut self, directory: &Path) -> Self {
        if let Some(Value::Object(preferences)) = self.firefox.get_mut("prefs") {
            let path = directory.to_string_lossy().into_owned();
            preferences.insert("browser.download.dir".to_owned(), Value::String(path));
        }
        self
    }

    /// The capabilities in the form of the WebDriver protocol.
    pub fn into_map(self) -> Map<String, Value> {
        let millis = u64::try_from(self.page_timeout.as_millis()).unwrap_or(u64::MAX);
        let mut map = Map::new();
        map.insert("browserName".to_owned(), json!("firefox"));
        map.insert("acceptInsecureCerts".to_owned(), json!(false));
        map.insert("webSocketUrl".to_owned(), json!(true));
        // The page's content decides when it is ready, not the last image.
        map.insert("pageLoadStrategy".to_owned(), json!("eager"));
        map.insert("unhandledPromptBehavior".to_owned(), json!("dismiss"));
        map.insert(
            "timeouts".to_owned(),
            json!({"pageLoad": millis, "script": millis, "implicit": 0}),
        );
        map.insert("moz:firefoxOptions".to_owned(), Value::Object(self.firefox));
        map
    }
}

/// Preferences that are switched off: what Firefox loads besides the page itself, its own requests and reports, and
/// printing, whose dialog would block all later pages of the session.
const OFF: [&str; 32] = [
    "print.enabled",
    "gfx.downloadable_fonts.enabled",
    "network.prefetch-next",
    "network.captive-portal-service.enabled",
    "network.connectivity-service.enabled",
    "datareporting.healthreport.uploadEnabled",
    "datareporting.policy.dataSubmissionEnabled",
    "toolkit.telemetry.enabled",
    "toolkit.telemetry.unified",
    "app.normandy.enabled",
    "app.shield.optoutstudies.enabled",
    "app.update.enabled",
    "browser.safebrowsing.malware.enabled",
    "browser.safebrowsing.phishing.enabled",
    "browser.safebrowsing.downloads.enabled",
    "browser.search.update",
    "browser.newtabpage.enabled",
    "extensions.update.enabled",
    "extensions.getAddons.cache.enabled",
    "dom.push.enabled",
    "dom.serviceWorkers.enabled",
    "dom.webnotifications.enabled",
    "geo.enabled",
    "browser.download.always_ask_before_handling_new_types",
    // Caches are off, so every answer is the current one.
    "browser.cache.disk.enable",
    "browser.cache.memory.enable",
    "browser.sessionstore.resume_from_crash",
    "browser.topsites.contile.enabled",
    "browser.discovery.enabled",
    "browser.translations.enable",
    "signon.rememberSignons",
    "media.gmp-manager.updateEnabled",
];

/// Preferences that are switched on. A download is saved without a prompt into the download directory, where it is
/// detected and ends the visit.
const ON: [&str; 7] = [
    "network.proxy.allow_hijacking_localhost",
    // A SOCKS proxy resolves the sites' names, because this machine may not be able to.
    "network.proxy.socks_remote_dns",
    "network.proxy.socks5_remote_dns",
    "network.dns.disablePrefetch",
    "dom.disable_open_during_load",
    "browser.download.useDownloadDir",
    "pdfjs.disabled",
];

/// Numeric preferences. Image permission 2: no images. Autoplay 5: none. Proxy type 2: by script. Folder list 2: the
/// configured directory.
///
/// Each tab has its own process, so a tab that hangs, crashes or runs out of memory affects no other. A tab with the
/// empty page keeps its process for the next page of the host, because starting a process takes longer than many pages.
const NUMBERS: [(&str, i32); 8] = [
    ("dom.ipc.keepProcessesAlive.webIsolated.perOrigin", 16),
    ("dom.ipc.processCount", 32),
    ("dom.ipc.processCount.webIsolated", 32),
    ("permissions.default.image", 2),
    ("media.autoplay.default", 5),
    ("network.proxy.type", 2),
    ("network.http.speculative-parallel-limit", 0),
    ("browser.download.folderList", 2),
];

fn preferences(user_agent: &str, own_hosts: &[Url]) -> Value {
    let texts = [
        ("general.useragent.override", user_agent),
        ("network.proxy.autoconfig_url", &proxy_rules(own_hosts)),
        ("browser.startup.homepage", "about:blank"),
        ("toolkit.telemetry.server", ""),
        ("browser.region.network.url", ""),
        ("services.settings.server", "data:,"),
    ];
    let mut preferences = Map::new();
    for (name, text) in texts {
        preferences.insert(name.to_owned(), json!(text));
    }
    for (name, number) in NUMBERS {
        preferences.insert(name.to_owned(), json!(number));
    }
    for (names, on) in [(&OFF[..], false), (&ON[..], true)] {
        for name in names {
            preferences.insert((*name).to_owned(), json!(on));
        }
    }
    Value::Object(preferences)
}

/// A PAC script. It routes every foreign host to a port on which no program listens, and the own hosts as for plain
/// HTTP.
fn proxy_rules(own_hosts: &[Url]) -> String {
    rules_through(own_hosts, Proxies::from_environment().ok().as_ref())
}

/// Without readable proxy variables no host is reachable; it never falls back to a direct connection.
fn rules_through(own_hosts: &[Url], proxies: Option<&Proxies>) -> String {
    let ways: BTreeMap<String, String> = own_hosts
        .iter()
        .map(|url| {
            let origin = format!("{}/", url.origin().ascii_serialization());
            let way = proxies.map_or_else(|| NOWHERE.to_owned(), |proxies| proxies.pac(url));
            (origin, way)
        })
        .collect();
    let script = format!(
        "function FindProxyForURL(url, host) {{ var own = {}; for (var prefix in own) {{ if (url.toLowerCase().indexOf(prefix) === 0) {{ return own[prefix]; }} }} return '{NOWHERE}'; }}",
        json!(ways)
    );
    let encoded =
        percent_encoding::utf8_percent_encode(&script, percent_encoding::NON_ALPHANUMERIC);
    format!("data:application/x-ns-proxy-autoconfig,{encoded}")
}

/// The directory of all profiles of one run. Dropping it deletes it.
pub struct ProfileRoot {
    directory: TempDir,
    /// Locked until this run ends, even if it is killed. The sweep of a later run checks the lock.
    _in_use: File,
}

impl ProfileRoot {
    /// Creates the directory under `base`, readable only by this user.
    ///
    /// # Errors
    /// `base` is not writable: a sentence for the operator.
    pub fn create(base: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| {
            format!(
                "no directory for browser profiles can be made in {}: {error}",
                base.display()
            )
        };
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(base)
            .map_err(failed)?;
        // Lock the file before renaming it, so that a sweep by another runner never sees it unlocked.
        let unlocked = directory.path().join(NEW_LOCK_FILE);
        let in_use = File::create(&unlocked).map_err(failed)?;
        in_use.lock().map_err(failed)?;
        fs::rename(&unlocked, directory.path().join(LOCK_FILE)).map_err(failed)?;
        Ok(Self {
            directory,
            _in_use: in_use,
        })
    }

    /// Creates a directory for one session.
    ///
    /// # Errors
    /// The disk is full or not writable.
    pub fn session_dir(&self) -> std::io::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("session-")
            .tempdir_in(self.directory.path())
    }
}

/// Removes the profiles of this user's runs that have ended, and kills the browsers that still use them. It leaves
/// profiles of other users, of active runs and of other programs alone.
pub fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_named_so = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_named_so && is_own_directory(&path) && is_abandoned(&path) {
            let ended = processes::end_processes_at_home_in(&path);
            tracing::info!(directory = %path.display(), processes = ended, "swept a browser profile that a killed run left behind");
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(directory = %path.display(), %error, "an abandoned browser profile could not be removed");
            }
        }
    }
}

/// Whether `path` is a directory of this user and not a link to one.
fn is_own_directory(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw()
    })
}

fn is_abandoned(directory: &Path) -> bool {
    match File::open(directory.join(LOCK_FILE)) {
        Ok(in_use) => in_use.try_lock().is_ok(),
        Err(_) => fs::metadata(directory)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .is_some_and(|age| age > UNLOCKED_AGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_profiles_of_our_own_are_swept() {
        let base = tempfile::tempdir().expect("a directory");
        let foreign = base.path().join("someone-elses-firefox");
        fs::create_dir(&foreign).expect("created");
        let living = ProfileRoot::create(base.path()).expect("created");
        let abandoned = base.path().join(format!("{PREFIX}abandoned"));
        fs::create_dir(&abandoned).expect("created");
        File::create(abandoned.join(LOCK_FILE)).expect("created");
        let brand_new = base.path().join(format!("{PREFIX}brand-new"));
        fs::create_dir(&brand_new).expect("created");
        // A run that is starting: its lock file has no final name yet.
        File::create(brand_new.join(NEW_LOCK_FILE)).expect("created");
        // A link of this user, not a directory: its target belongs to another owner.
        let linked = base.path().join(format!("{PREFIX}link"));
        File::create(foreign.join(LOCK_FILE)).expect("created");
        std::os::unix::fs::symlink(&foreign, &linked).expect("linked");
        sweep(base.path());
        assert!(foreign.join(LOCK_FILE).exists() && living.directory.path().exists());
        assert!(brand_new.exists() && linked.is_symlink());
        assert!(!abandoned.exists());
    }

    #[test]
    fn the_browser_takes_the_way_of_plain_http_and_foreign_hosts_lead_nowhere() {
        let own = [Url::parse("https://a.th/x").expect("a URL")];
        let proxied = Proxies::from_variables(|name| {
            (name == "ALL_PROXY").then(|| "socks5://me:hunter2@p:9".into())
        });
        let proxied = proxied.expect("readable");
        for (proxies, way) in [
            (Some(&Proxies::default()), "DIRECT"),
            (Some(&proxied), "SOCKS5 p:9"),
            (None, NOWHERE),
        ] {
            let rules = rules_through(&own, proxies);
            let rules = percent_encoding::percent_decode_str(&rules).decode_utf8_lossy();
            let expected = format!(r#"var own = {{"https://a.th/":"{way}"}}"#);
            assert!(rules.contains(&expected), "{rules}");
            assert!(
                rules.ends_with(&format!("return '{NOWHERE}'; }}")),
                "{rules}"
            );
            assert!(!rules.contains("hunter2"), "{rules}");
        }
    }
}
