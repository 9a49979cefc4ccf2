//! From what was written to what it means: each wrong value becomes a [`Problem`], and all of them are reported together.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use actors::run_mode::{ModeSizes, Modes, RunMode};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use sources::ask::TransportMode;
use sources::transport::{HostLimits, Webdriver};
use url::Url;

use super::{
    BrowserSettings, DatabaseSettings, FinnomenaSettings, PatienceSettings, RetentionSettings,
    RunnerSettings, SecFundcheckSettings, SourcesSettings, SupervisionSettings,
    WealthmagikSettings,
};
use crate::embedded_postgres::EmbeddedSettings;
use crate::runner_config::{
    BrowserConfig, ConfigError, DatabaseConfig, FinnomenaConfig, ModeConfig, ModesConfig,
    PatienceConfig, Problem, RetentionConfig, RunnerConfig, ScheduleConfig, SecFundcheckConfig,
    SourcesConfig, SupervisionConfig, WealthmagikConfig, WebdriverConfig, Word,
};
use crate::schedule::Schedule;
use crate::secret::{DatabaseUrl, without_passwords};

const DAY_SECS: i64 = 86_400;
const MEGABYTE: u64 = 1 << 20;

impl RunnerSettings {
    /// Checks everything that `config` says; `database_url` is the environment's DATABASE_URL, which goes before the file.
    ///
    /// # Errors
    /// Every wrong value, by its key path. `path` is only named in the message.
    pub fn check(
        path: &Path,
        config: &RunnerConfig,
        database_url: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut found = Findings::default();
        let settings = settings(&mut found, config, database_url);
        match settings {
            Some(settings) if found.problems.is_empty() => Ok(settings),
            _ => Err(ConfigError::Wrong {
                path: path.to_path_buf(),
                problems: found.problems,
            }),
        }
    }
}

/// `None` only together with a problem. Every part is checked before the first `?`, so that no problem hides another.
fn settings(
    found: &mut Findings,
    config: &RunnerConfig,
    database_url: Option<&str>,
) -> Option<RunnerSettings> {
    let mode = found.parsed::<RunMode>(
        "mode",
        &config.mode.0,
        "Sequential, Hybrid, Parallel, or 1, 2, 3",
    );
    let database = database(found, &config.database, database_url);
    let schedule = schedule(found, &config.schedule);
    let sources = sources(found, &config.sources);
    let browser = browser(found, &config.browser);
    let patience = patience(found, &config.patience);
    let supervision = supervision(found, &config.supervision);
    let sessions = browser.as_ref().map(|browser| browser.sessions);
    let modes = modes(found, &config.modes, sessions.unwrap_or(NonZeroUsize::MIN));
    let user_agent_contact = contact(found, config.user_agent_contact.as_deref());
    let retention = retention(found, &config.retention);
    Some(RunnerSettings {
        mode: mode?,
        database: database?,
        schedule: schedule?,
        sources: sources?,
        browser: browser?,
        patience: patience?,
        supervision: supervision?,
        modes: modes?,
        user_agent_contact: user_agent_contact?,
        retention: retention?,
    })
}

fn database(
    found: &mut Findings,
    config: &DatabaseConfig,
    from_environment: Option<&str>,
) -> Option<DatabaseSettings> {
    let (key, text) = match (from_environment.filter(|url| !url.is_empty()), config) {
        (Some(url), _) => ("DATABASE_URL", url),
        (None, DatabaseConfig::Url(url)) => ("database", url.as_str()),
        (None, DatabaseConfig::Embedded { data_dir, bin_dir }) => {
            let data_dir = found.path("database.data_dir", data_dir);
            let bin_dir = match bin_dir {
                Some(dir) => found.path("database.bin_dir", dir).map(Some),
                None => Some(None),
            };
            return Some(DatabaseSettings::Embedded(EmbeddedSettings {
                data_dir: data_dir?,
                bin_dir: bin_dir?,
            }));
        }
    };
    match DatabaseUrl::from_str(text) {
        Ok(url) => Some(DatabaseSettings::Url(url)),
        Err(error) => found.wrong(
            key,
            "no address (it is not shown: it may hold a password)",
            error.to_string().trim_start_matches("not "),
        ),
    }
}

fn schedule(found: &mut Findings, config: &ScheduleConfig) -> Option<Schedule> {
    let timezone = timezone(found, &config.timezone);
    let daily_at = found.time("schedule.daily_at", &config.daily_at);
    let retry_at = found.time("schedule.retry_at", &config.retry_at);
    let mut skip_weekdays: Vec<Weekday> = Vec::new();
    for (at, day) in config.skip_weekdays.iter().enumerate() {
        let key = format!("schedule.skip_weekdays[{at}]");
        skip_weekdays.extend(weekday(found, &key, day).filter(|day| !skip_weekdays.contains(day)));
    }
    if skip_weekdays.len() == 7 {
        found.wrong::<()>(
            "schedule.skip_weekdays",
            "every day of the week",
            "at least one day left for work",
        );
    }
    let mut holidays = BTreeSet::new();
    for (at, day) in config.holidays.iter().enumerate() {
        let key = format!("schedule.holidays[{at}]");
        holidays.extend(found.parsed::<Date>(&key, day, "a date such as \"2027-01-01\""));
    }
    Some(Schedule {
        timezone: timezone?,
        daily_at: daily_at?,
        retry_at: retry_at?,
        skip_weekdays,
        holidays,
        run_on_start: config.run_on_start,
    })
}

fn timezone(found: &mut Findings, name: &str) -> Option<TimeZone> {
    if name == "Asia/Bangkok" {
        // Without daylight saving since 1920: known also where no time zone database is installed.
        return Some(TimeZone::fixed(Offset::constant(7)));
    }
    match TimeZone::get(name) {
        Ok(zone) => Some(zone),
        Err(_) => found.wrong(
            "schedule.timezone",
            &quoted(name),
            "a time zone of the IANA database, such as \"Asia/Bangkok\"",
        ),
    }
}

fn weekday(found: &mut Findings, key: &str, day: &Word) -> Option<Weekday> {
    let known = [
        ("Monday", Weekday::Monday),
        ("Tuesday", Weekday::Tuesday),
        ("Wednesday", Weekday::Wednesday),
        ("Thursday", Weekday::Thursday),
        ("Friday", Weekday::Friday),
        ("Saturday", Weekday::Saturday),
        ("Sunday", Weekday::Sunday),
    ];
    match known.into_iter().find(|(name, _)| *name == day.0) {
        Some((_, weekday)) => Some(weekday),
        None => found.wrong(key, &day.0, &known.map(|(name, _)| name).join(", ")),
    }
}

fn sources(found: &mut Findings, config: &SourcesConfig) -> Option<SourcesSettings> {
    let SourcesConfig {
        finnomena,
        wealthmagik,
        sec_fundcheck,
    } = config;
    if !(finnomena.enabled || wealthmagik.enabled || sec_fundcheck.enabled) {
        found.wrong::<()>(
            "sources",
            "all disabled",
            "at least one with `enabled: true`",
        );
    }
    let finnomena = finnomena_settings(found, finnomena);
    let wealthmagik = wealthmagik_settings(found, wealthmagik);
    let sec_fundcheck = sec_fundcheck_settings(found, sec_fundcheck);
    Some(SourcesSettings {
        finnomena: finnomena?,
        wealthmagik: wealthmagik?,
        sec_fundcheck: sec_fundcheck?,
    })
}

fn finnomena_settings(found: &mut Findings, config: &FinnomenaConfig) -> Option<FinnomenaSettings> {
    let key = "sources.finnomena";
    let base_url = found.host(&format!("{key}.base_url"), &config.base_url);
    let limits = found.limits(key, config.requests_per_sec, config.concurrent_requests);
    let factsheet_hosts = found.factsheet_hosts(key, &config.factsheet_hosts, base_url.as_ref());
    Some(FinnomenaSettings {
        enabled: config.enabled,
        base_url: base_url?,
        limits: limits?,
        factsheet_hosts,
    })
}

fn wealthmagik_settings(
    found: &mut Findings,
    config: &WealthmagikConfig,
) -> Option<WealthmagikSettings> {
    let key = "sources.wealthmagik";
    let base_url = found.host(&format!("{key}.base_url"), &config.base_url);
    let transport = found.transport(key, &config.transport);
    let limits = found.limits(key, config.requests_per_sec, config.concurrent_requests);
    let factsheet_hosts = found.factsheet_hosts(key, &config.factsheet_hosts, base_url.as_ref());
    Some(WealthmagikSettings {
        enabled: config.enabled,
        base_url: base_url?,
        transport: transport?,
        limits: limits?,
        factsheet_hosts,
    })
}

fn sec_fundcheck_settings(
    found: &mut Findings,
    config: &SecFundcheckConfig,
) -> Option<SecFundcheckSettings> {
    let key = "sources.sec_fundcheck";
    let page_url = found.host(&format!("{key}.page_url"), &config.page_url);
    let api_url = found.host(&format!("{key}.api_url"), &config.api_url);
    let transport = found.transport(key, &config.transport);
    let limits = found.limits(key, config.requests_per_sec, config.concurrent_requests);
    Some(SecFundcheckSettings {
        enabled: config.enabled,
        page_url: page_url?,
        api_url: api_url?,
        transport: transport?,
        limits: limits?,
    })
}

fn browser(found: &mut Findings, config: &BrowserConfig) -> Option<BrowserSettings> {
    let webdriver = match &config.webdriver {
        WebdriverConfig::Managed => Some(Webdriver::Managed),
        WebdriverConfig::Url(url) => found.http_url("browser.webdriver", url).map(Webdriver::Url),
    };
    let sessions = found.size("browser.sessions", config.sessions, 16);
    let pages_per_session = found.size(
        "browser.pages_per_session",
        config.pages_per_session,
        100_000,
    );
    Some(BrowserSettings {
        webdriver: webdriver?,
        sessions: sessions?,
        headless: config.headless,
        pages_per_session: pages_per_session?,
    })
}

fn patience(found: &mut Findings, config: &PatienceConfig) -> Option<PatienceSettings> {
    let timeout = found.secs(
        "patience.request_timeout_secs",
        config.request_timeout_secs,
        1,
        600,
    );
    let back_off = found.span("patience.host_back_off_secs", config.host_back_off_secs);
    let wait = found.secs(
        "patience.host_wait_secs",
        config.host_wait_secs,
        0,
        DAY_SECS,
    );
    let (host_back_off_first, host_back_off_longest) = back_off?;
    Some(PatienceSettings {
        request_timeout: timeout?,
        host_back_off_first,
        host_back_off_longest,
        host_wait: wait?,
    })
}

fn supervision(found: &mut Findings, config: &SupervisionConfig) -> Option<SupervisionSettings> {
    let restarts = found.count("supervision.max_restarts", config.max_restarts, 0, 1000);
    let writers = found.count(
        "supervision.max_writer_restarts",
        config.max_writer_restarts,
        0,
        1000,
    );
    let within = found.secs("supervision.within_secs", config.within_secs, 1, DAY_SECS);
    let delay = found.span("supervision.restart_delay_secs", config.restart_delay_secs);
    let stuck = found.secs(
        "supervision.stuck_after_secs",
        config.stuck_after_secs,
        1,
        DAY_SECS,
    );
    let shutdown = found.secs("supervision.shutdown_secs", config.shutdown_secs, 1, 600);
    let (restart_delay_first, restart_delay_longest) = delay?;
    Some(SupervisionSettings {
        max_restarts: usize::try_from(restarts?).ok()?,
        max_writer_restarts: usize::try_from(writers?).ok()?,
        within: within?,
        restart_delay_first,
        restart_delay_longest,
        stuck_after: stuck?,
        shutdown: shutdown?,
    })
}

fn modes(found: &mut Findings, config: &ModesConfig, sessions: NonZeroUsize) -> Option<Modes> {
    let sequential = sizes(
        found,
        "modes.sequential",
        &config.sequential,
        RunMode::Sequential,
        sessions,
    );
    let hybrid = sizes(
        found,
        "modes.hybrid",
        &config.hybrid,
        RunMode::Hybrid,
        sessions,
    );
    let parallel = sizes(
        found,
        "modes.parallel",
        &config.parallel,
        RunMode::Parallel,
        sessions,
    );
    Some(Modes {
        sequential: sequential?,
        hybrid: hybrid?,
        parallel: parallel?,
    })
}

fn sizes(
    found: &mut Findings,
    key: &str,
    config: &ModeConfig,
    mode: RunMode,
    sessions: NonZeroUsize,
) -> Option<ModeSizes> {
    let default = mode.default_sizes(sessions);
    let mut size = |name: &str, said: Option<i64>, default: NonZeroUsize, most: i64| match said {
        Some(number) => found.size(&format!("{key}.{name}"), number, most),
        None => Some(default),
    };
    let fetches_in_flight = size(
        "fetches_in_flight",
        config.fetches_in_flight,
        default.fetches_in_flight,
        64,
    );
    let credits = size("credits", config.credits, default.credits, 1024);
    let loader_mailbox = size(
        "loader_mailbox",
        config.loader_mailbox,
        default.loader_mailbox,
        64,
    );
    let browser_sessions = size(
        "browser_sessions",
        config.browser_sessions,
        default.browser_sessions,
        16,
    );
    Some(ModeSizes {
        fetches_in_flight: fetches_in_flight?,
        credits: credits?,
        loader_mailbox: loader_mailbox?,
        browser_sessions: browser_sessions?.min(sessions),
    })
}

/// Who the sites can write to. The host's name is no secret to a site that is asked from it.
fn contact(found: &mut Findings, said: Option<&str>) -> Option<String> {
    let Some(contact) = said else {
        let host = nix::unistd::gethostname().ok().and_then(|name| {
            let name = name.into_string().ok()?;
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
                .then_some(name)
        });
        return Some(format!(
            "operator@{}",
            host.as_deref().unwrap_or("localhost")
        ));
    };
    let reachable =
        contact.contains('@') || contact.starts_with("https://") || contact.starts_with("http://");
    let fits_a_header = contact.len() <= 200
        && contact
            .chars()
            .all(|c| c.is_ascii_graphic() && !"()".contains(c));
    if reachable && fits_a_header {
        return Some(contact.to_owned());
    }
    found.wrong(
        "user_agent_contact",
        &quoted(contact),
        "an e-mail address or a web address, at most 200 ASCII characters, no spaces or parentheses",
    )
}

fn retention(found: &mut Findings, config: &RetentionConfig) -> Option<RetentionSettings> {
    let archive_dir = found.path("retention.archive_dir", &config.archive_dir);
    let archive_mb = found.count("retention.archive_mb", config.archive_mb, 0, 1_000_000);
    let samples = found.count(
        "retention.archive_samples_per_month",
        config.archive_samples_per_month,
        0,
        1000,
    );
    let rejected_days = found.count("retention.rejected_days", config.rejected_days, 1, 36_500);
    let rejected_rows = found.count(
        "retention.rejected_rows",
        config.rejected_rows,
        0,
        1_000_000_000,
    );
    let log_dir = found.path("retention.log_dir", &config.log_dir);
    let log_mb = found.count("retention.log_mb", config.log_mb, 1, 1_000_000);
    Some(RetentionSettings {
        archive_dir: archive_dir?,
        archive_bytes: archive_mb? * MEGABYTE,
        archive_samples_per_month: usize::try_from(samples?).ok()?,
        rejected_days: u32::try_from(rejected_days?).ok()?,
        rejected_rows: rejected_rows?,
        log_dir: log_dir?,
        log_bytes: log_mb? * MEGABYTE,
    })
}

/// What was wrong so far. Each reading method notes a problem and gives `None`, or gives the value.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    fn wrong<T>(&mut self, key: &str, found: &str, expected: &str) -> Option<T> {
        self.problems.push(Problem {
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        });
        None
    }

    fn parsed<T: FromStr>(&mut self, key: &str, text: &str, expected: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => self.wrong(key, &quoted(text), expected),
        }
    }

    /// `HH:MM`, on a 24-hour clock.
    fn time(&mut self, key: &str, text: &str) -> Option<Time> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !(digits(hour) && digits(minute)) {
                return None;
            }
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        match read() {
            Some(time) => Some(time),
            None => self.wrong(key, &quoted(text), "a time such as \"03:00\""),
        }
    }

    fn count(&mut self, key: &str, number: i64, least: i64, most: i64) -> Option<u64> {
        match u64::try_from(number) {
            Ok(value) if (least..=most).contains(&number) => Some(value),
            _ => self.wrong(
                key,
                &number.to_string(),
                &format!("a number from {least} to {most}"),
            ),
        }
    }

    fn size(&mut self, key: &str, number: i64, most: i64) -> Option<NonZeroUsize> {
        let value = self.count(key, number, 1, most)?;
        NonZeroUsize::new(usize::try_from(value).ok()?)
    }

    fn secs(&mut self, key: &str, number: i64, least: i64, most: i64) -> Option<Duration> {
        match u64::try_from(number) {
            Ok(value) if (least..=most).contains(&number) => Some(Duration::from_secs(value)),
            _ => self.wrong(
                key,
                &number.to_string(),
                &format!("{least} to {most} seconds"),
            ),
        }
    }

    /// A first and a longest pause.
    fn span(&mut self, key: &str, (first, longest): (i64, i64)) -> Option<(Duration, Duration)> {
        if 1 <= first && first <= longest && longest <= DAY_SECS {
            let secs = |number: i64| u64::try_from(number).ok().map(Duration::from_secs);
            return Some((secs(first)?, secs(longest)?));
        }
        self.wrong(
            key,
            &format!("({first}, {longest})"),
            &format!("(first, longest) in seconds, 1 <= first <= longest <= {DAY_SECS}"),
        )
    }

    fn path(&mut self, key: &str, text: &str) -> Option<PathBuf> {
        if text.trim().is_empty() || text.contains('\0') {
            return self.wrong(key, &quoted(text), "a path");
        }
        Some(PathBuf::from(text))
    }

    fn limits(&mut self, source: &str, rate: f64, concurrent: i64) -> Option<HostLimits> {
        const MOST_PER_SEC: f64 = 1000.0;
        let requests_per_sec = if rate > 0.0 && rate <= MOST_PER_SEC {
            Some(rate)
        } else {
            self.wrong(
                &format!("{source}.requests_per_sec"),
                &rate.to_string(),
                &format!("a number above 0 and at most {MOST_PER_SEC}"),
            )
        };
        let concurrent_requests =
            self.size(&format!("{source}.concurrent_requests"), concurrent, 64);
        Some(HostLimits {
            requests_per_sec: requests_per_sec?,
            concurrent_requests: concurrent_requests?,
        })
    }

    fn transport(&mut self, source: &str, word: &Word) -> Option<TransportMode> {
        match word.0.as_str() {
            "Auto" => Some(TransportMode::Auto),
            "Http" => Some(TransportMode::Http),
            "Browser" => Some(TransportMode::Browser),
            other => self.wrong(
                &format!("{source}.transport"),
                other,
                "Auto, Http or Browser",
            ),
        }
    }

    fn http_url(&mut self, key: &str, text: &str) -> Option<Url> {
        match Url::parse(text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none() =>
            {
                Some(url)
            }
            _ => self.wrong(
                key,
                &quoted(text),
                "an address such as \"https://www.example.org\" (http or https, no user name)",
            ),
        }
    }

    /// A host: scheme, name, port, and nothing behind.
    fn host(&mut self, key: &str, text: &str) -> Option<Url> {
        let url = self.http_url(key, text)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return self.wrong(
                key,
                &quoted(text),
                "an address without a path, such as \"https://www.example.org\"",
            );
        }
        Some(url)
    }

    /// The listed hosts and the source's own.
    fn factsheet_hosts(&mut self, source: &str, listed: &[String], own: Option<&Url>) -> Vec<Url> {
        let mut hosts: Vec<Url> = own.cloned().into_iter().collect();
        for (at, text) in listed.iter().enumerate() {
            let host = self.host(&format!("{source}.factsheet_hosts[{at}]"), text);
            hosts.extend(host.filter(|host| Some(host) != own));
        }
        hosts
    }
}

/// A text as it stands in the file, bounded, without secrets.
fn quoted(text: &str) -> String {
    let cut: String = without_passwords(text).chars().take(100).collect();
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING_WRONG: &str = r#"(
        mode: Turbo,
        database: Url("mysql://me:hunter2@host/db"),
        schedule: (timezone: "Asia/Bangkock", daily_at: "25:00", retry_at: "7", skip_weekdays: [Sunday, Funday], holidays: ["2026-02-30"]),
        sources: (
            finnomena: (base_url: "ftp://www.finnomena.com", requests_per_sec: -1.0, concurrent_requests: 0, factsheet_hosts: ["nowhere"]),
            wealthmagik: (base_url: "https://me:hunter2@www.wealthmagik.com", transport: Telepathy, requests_per_sec: inf),
            sec_fundcheck: (page_url: "https://fundcheck.sec.or.th/x", api_url: "", requests_per_sec: 0.0, concurrent_requests: 1000),
        ),
        browser: (webdriver: Url("grid:4444"), sessions: -1, pages_per_session: 0),
        patience: (request_timeout_secs: 0, host_back_off_secs: (600, 30), host_wait_secs: -5),
        supervision: (max_restarts: -1, max_writer_restarts: 5000, within_secs: 0, restart_delay_secs: (0, 1), stuck_after_secs: 0, shutdown_secs: 0),
        modes: (sequential: (credits: 0), parallel: (fetches_in_flight: 100, loader_mailbox: -2, browser_sessions: 99)),
        user_agent_contact: "call me (maybe)",
        retention: (archive_dir: "", archive_mb: -1, rejected_days: 0, log_mb: 0),
    )"#;

    fn check(text: &str, database_url: Option<&str>) -> Result<RunnerSettings, ConfigError> {
        let path = Path::new("runner.ron");
        RunnerSettings::check(path, &RunnerConfig::parse(path, text)?, database_url)
    }

    #[test]
    fn every_wrong_value_is_reported_at_once_by_its_key_path() {
        let said = check(EVERYTHING_WRONG, None)
            .expect_err("wrong")
            .to_string();
        assert!(!said.contains("hunter2"), "{said}");
        insta::assert_snapshot!(said);
    }

    #[test]
    fn the_file_at_the_root_is_the_documented_defaults() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/runner.ron"));
        let written = RunnerConfig::load(root, true).expect("readable");
        let settings = RunnerSettings::check(root, &written, None).expect("right");
        assert_eq!(check("()", None).ok(), Some(settings));
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let url = "postgres://me:hunter2@host/funds_db";
        let settings = check("()", Some(url)).expect("right");
        assert_eq!(
            settings.database,
            DatabaseSettings::Url(url.parse().expect("an address"))
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
        let said = check("()", Some("hunter2")).expect_err("wrong").to_string();
        assert!(
            said.contains("DATABASE_URL") && !said.contains("hunter2"),
            "{said}"
        );
        let settings = check("()", Some("")).expect("an empty variable is none");
        assert!(matches!(settings.database, DatabaseSettings::Embedded(_)));
    }

    #[test]
    fn a_mode_never_has_more_browsers_than_the_machine_may() {
        let settings = check(
            "(mode: 3, browser: (sessions: 2), modes: (parallel: (browser_sessions: 9)))",
            None,
        );
        assert_eq!(settings.expect("right").sizes().browser_sessions.get(), 2);
        let settings = check("(mode: 3, browser: (sessions: 4))", None).expect("right");
        assert_eq!(settings.sizes().browser_sessions.get(), 4);
    }

    #[test]
    fn a_source_may_fetch_factsheets_from_its_own_host_and_the_listed_ones() {
        let text = r#"(sources: (finnomena: (base_url: "http://127.0.0.1:1", factsheet_hosts: ["http://127.0.0.1:2"])))"#;
        let hosts = check(text, None)
            .expect("right")
            .sources
            .finnomena
            .factsheet_hosts;
        let hosts: Vec<&str> = hosts.iter().map(Url::as_str).collect();
        assert_eq!(hosts, ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]);
    }
}
