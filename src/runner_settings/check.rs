//! Converts the configuration into settings. Each wrong value becomes a [`Problem`], and all problems are reported
//! together.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;

use actors::run_mode::{ModeSizes, Modes, RunMode};
use jiff::civil::{Date, Weekday};
use jiff::tz::{Offset, TimeZone};
use schema::doubt::DoubtLimits;
use sources::api_key::ApiKey;
use sources::sites::SPECS;
use sources::source_spec::{SiteAddress, SourceSpec};
use sources::transport::Webdriver;
use store::{AddressProblem, Retention};
use url::Url;

use super::findings::{DAY_SECS, Findings, quoted};
use super::precedence::precedence;
use super::{
    BrowserSettings, DatabaseSettings, PatienceSettings, RetentionSettings, RunnerSettings,
    SourceSettings, SupervisionSettings,
};
use crate::runner_config::{
    BrowserConfig, ConfigError, DatabaseConfig, DoubtConfig, ModeConfig, ModesConfig,
    PatienceConfig, RetentionConfig, RunnerConfig, ScheduleConfig, SourceConfig, SourcesConfig,
    SupervisionConfig, WebdriverConfig, Word,
};
use crate::schedule::Schedule;
use crate::secret::DatabaseUrl;
use embedded_postgres::EmbeddedSettings;

const MEGABYTE: u64 = 1 << 20;

impl RunnerSettings {
    /// Checks all of `config`. `database_url` is the environment's DATABASE_URL, which takes precedence over the file.
    ///
    /// # Errors
    /// Every wrong value, by its key path. `path` is used only in the message.
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

/// Returns `None` only together with a problem. Every part is checked before the first `?`, so that no problem hides
/// another.
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
    let doubt = doubt(found, &config.doubt);
    let precedence = precedence(found, &config.precedence);
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
        doubt: doubt?,
        precedence: precedence?,
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
        Err(AddressProblem::UnknownParameter(name)) => found.wrong(
            key,
            &format!("the unknown parameter {name}"),
            &AddressProblem::KNOWN.join(", "),
        ),
        Err(AddressProblem::BadValue { name, expected }) => found.wrong(
            key,
            &format!("a value of {name} that it cannot have"),
            expected,
        ),
        Err(AddressProblem::Unreadable | AddressProblem::NoHost) => found.wrong(
            key,
            "no address (it is not shown: it may hold a password)",
            "the address of a PostgreSQL database (postgres://user:password@host:port/database)",
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
        // Thailand has had no daylight saving since 1920. A fixed offset also works without an installed time zone
        // database.
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

fn sources(found: &mut Findings, config: &SourcesConfig) -> Option<Vec<SourceSettings>> {
    if config.0.values().all(|source| !source.enabled) {
        found.wrong::<()>(
            "sources",
            "all disabled",
            "at least one with `enabled: true`",
        );
    }
    let sources: Vec<Option<SourceSettings>> = SPECS
        .iter()
        .filter_map(|spec| Some(source(found, spec, config.0.get(&spec.name)?)))
        .collect();
    sources.into_iter().collect()
}

fn source(
    found: &mut Findings,
    spec: &'static SourceSpec,
    config: &SourceConfig,
) -> Option<SourceSettings> {
    let key = format!("sources.{}", spec.name);
    let hosts: Vec<Option<Url>> = spec
        .hosts
        .iter()
        .zip(&config.hosts)
        .map(|(host, url)| found.host(&format!("{key}.{}", host.key), url))
        .collect();
    let transport = found.transport(&key, &config.transport);
    let reduced_from = spec.max_requests_per_sec.and_then(|most| {
        (config.requests_per_sec > most).then_some((config.requests_per_sec, most))
    });
    let rate = reduced_from.map_or(config.requests_per_sec, |(_, most)| most);
    let limits = found.limits(&key, rate, config.concurrent_requests);
    let history_pages = spec.history_pages.and_then(|_| {
        let name = format!("{key}.history_pages");
        found.count(&name, config.history_pages, 0, 1_000_000)
    });
    let root = hosts.first().and_then(Option::as_ref);
    let factsheet_hosts = match spec.factsheet_hosts {
        Some(_) => found.factsheet_hosts(&key, &config.factsheet_hosts, root),
        None => Vec::new(),
    };
    let mut hosts = hosts.into_iter().collect::<Option<Vec<Url>>>()?.into_iter();
    Some(SourceSettings {
        spec,
        enabled: config.enabled,
        address: SiteAddress {
            root: hosts.next()?,
            others: hosts.collect(),
            factsheet_hosts,
            keys: spec
                .api_key
                .map_or_else(Vec::new, |_| keys(&config.key_envs)),
        },
        transport: transport?,
        limits: limits?,
        reduced_from: reduced_from.map(|(configured, _)| configured),
        key_env: spec.api_key.map(|_| config.key_envs[0].clone()),
        history_pages: history_pages.map_or(Some(0), |pages| usize::try_from(pages).ok())?,
    })
}

/// The keys in these environment variables.
fn keys(variables: &[String]) -> Vec<ApiKey> {
    variables
        .iter()
        .filter_map(|variable| ApiKey::of(&std::env::var(variable).ok()?))
        .collect()
}

fn browser(found: &mut Findings, config: &BrowserConfig) -> Option<BrowserSettings> {
    let webdriver = match &config.webdriver {
        WebdriverConfig::Managed => Some(Webdriver::Managed),
        WebdriverConfig::Url(url) => found.http_url("browser.webdriver", url).map(Webdriver::Url),
    };
    let sessions = found.size("browser.sessions", config.sessions, 16);
    let tabs_per_session = found.size("browser.tabs_per_session", config.tabs_per_session, 16);
    let pages_per_session = found.size(
        "browser.pages_per_session",
        config.pages_per_session,
        100_000,
    );
    Some(BrowserSettings {
        webdriver: webdriver?,
        sessions: sessions?,
        tabs_per_session: tabs_per_session?,
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

/// The contact for the operators of the sites. Empty if no contact is configured; no contact is sent then.
fn contact(found: &mut Findings, said: Option<&str>) -> Option<String> {
    let Some(contact) = said else {
        return Some(String::new());
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
    let rows = found.count(
        "retention.rejected_rows",
        config.rejected_rows,
        1,
        10_000_000,
    );
    let cycles = found.count("retention.cycles", config.cycles, 1, 100_000);
    Some(RetentionSettings {
        archive_dir: archive_dir?,
        archive_bytes: archive_mb? * MEGABYTE,
        store: Retention {
            rejected_rows: u32::try_from(rows?).ok()?,
            cycles: u32::try_from(cycles?).ok()?,
        },
    })
}

fn doubt(found: &mut Findings, config: &DoubtConfig) -> Option<DoubtLimits> {
    let min_funds = found.count("doubt.min_funds", config.min_funds, 1, 100_000);
    let mut percent = |key: &str, number: i64| -> Option<u8> {
        found
            .count(&format!("doubt.{key}"), number, 1, 100)
            .and_then(|percent| u8::try_from(percent).ok())
    };
    let absent_percent = percent("absent_percent", config.absent_percent);
    let settled_percent = percent("settled_percent", config.settled_percent);
    let zeroed_percent = percent("zeroed_percent", config.zeroed_percent);
    let identity_percent = percent("identity_percent", config.identity_percent);
    let status_percent = percent("status_percent", config.status_percent);
    Some(DoubtLimits {
        min_funds: u32::try_from(min_funds?).ok()?,
        absent_percent: absent_percent?,
        settled_percent: settled_percent?,
        zeroed_percent: zeroed_percent?,
        identity_percent: identity_percent?,
        status_percent: status_percent?,
    })
}

#[cfg(test)]
mod tests;
