//! Requests one page outside a cycle and parses it, for `check` and `probe`. The limits of the host and the configured
//! transport apply. Nothing is stored or acknowledged.

use std::sync::Arc;
use std::time::Duration;

use schema::{PlannedTask, SourceName, TaskId};
use sources::ask::TransportMode;
use sources::page::{PageSpec, Stage};
use sources::site::{Answer, Breach, ReadContext, Reading, Request, Site, StatusMeaning};
use sources::transport::{Call, Fetched, RedirectScope, Transport, WaitingOn};
use url::Url;

use crate::sites::Sites;

/// Time limit for one page, including the pauses of its host: a browser needs up to a minute to start.
const LIMIT: Duration = Duration::from_secs(90);
/// Maximum size of a root page. It has no parser, and so no limit of its own.
const ROOT_BYTES: usize = 16 << 20;

/// A source whose single pages can be requested.
#[derive(Clone)]
pub struct PageProbe {
    site: Arc<dyn Site>,
    transport: Transport,
    mode: TransportMode,
}

/// The result of one requested page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The page's name.
    pub page: &'static str,
    /// The fund's code, or `*`.
    pub key: String,
    /// The response, or the reason why there is none.
    pub answer: Result<Answer, String>,
    /// The parser's result; `None` without a response.
    pub reading: Option<Reading>,
    /// The reason why plain HTTP was not enough, if the browser was used.
    pub changed_to_browser: Option<String>,
}

impl Probed {
    /// Whether the page was parsed, or the source reported that it has no such page.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(
            self.reading,
            Some(Reading::Observed { .. } | Reading::Absent)
        )
    }
}

impl PageProbe {
    /// The probe of an enabled source.
    #[must_use]
    pub fn of(sites: &Sites, source: SourceName) -> Option<Self> {
        let (site, transport, mode) = sites.site(source)?;
        Some(Self {
            site,
            transport: transport.clone(),
            mode,
        })
    }

    /// The pages of the source.
    #[must_use]
    pub fn pages(&self) -> &'static [PageSpec] {
        self.site.pages()
    }

    /// Requests one page and parses the response.
    pub async fn ask(
        &self,
        page: &PageSpec,
        key: &str,
        locator: Option<String>,
        context: ReadContext,
    ) -> Probed {
        let task = PlannedTask {
            locator,
            // The smallest extent is enough to show the parser's result.
            extent: match page.chain.and_then(|chain| chain.quarters) {
                Some(quarters) => Some(quarters.extent(context.cycle_date)),
                None => page.extents.first().map(|extent| extent.word.to_owned()),
            },
            ..PlannedTask::new(TaskId {
                source: self.site.name(),
                page: page.name.to_owned(),
                key: key.to_owned(),
            })
        };
        let waiting = WaitingOn::default();
        let asking = self.ask_task(page, &task, context, &waiting);
        match tokio::time::timeout(LIMIT, asking).await {
            Ok(probed) => probed,
            Err(_) => nothing(page, &task, too_long(&waiting)),
        }
    }

    /// Requests the root page of a host, which has no parser, to see whether the host responds.
    ///
    /// # Errors
    /// The host does not respond, or responds with an error.
    pub async fn ask_root(&self, url: &Url) -> Result<u16, String> {
        let request = Request {
            url: url.clone(),
            post_json: None,
            headers: vec![("Accept", "text/html".to_owned())],
            secret_header: None,
            max_body_bytes: ROOT_BYTES,
            must_end_in_html: false,
        };
        let waiting = WaitingOn::default();
        let meaning = |status| StatusMeaning::usual(status, 1);
        let call = self.call(&meaning, RedirectScope::SameHost, &waiting);
        match tokio::time::timeout(LIMIT, self.transport.fetch(&request, &call)).await {
            Ok(Ok(Fetched { answer, .. })) if answer.status < 400 => Ok(answer.status),
            Ok(Ok(Fetched { answer, .. })) => Err(format!("{url} answers {}", answer.status)),
            Ok(Err(failure)) => Err(failure.text),
            Err(_) => Err(too_long(&waiting)),
        }
    }

    async fn ask_task(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        context: ReadContext,
        waiting: &WaitingOn,
    ) -> Probed {
        let way = match self.mode {
            TransportMode::Http => Ok(None),
            TransportMode::Auto | TransportMode::Browser => self.site.by_browser(page, task),
        };
        let way = match way {
            Ok(way) => way,
            Err(text) => return nothing(page, task, text),
        };
        let meaning = |status| self.site.meaning(page, status, 1);
        let redirects = if page.stage == Stage::Factsheets {
            RedirectScope::FactsheetHosts
        } else {
            RedirectScope::SameHost
        };
        let call = self.call(&meaning, redirects, waiting);
        let mut changed_to_browser = None;
        if self.mode != TransportMode::Browser || way.is_none() {
            let request = || self.site.request(page, std::slice::from_ref(task));
            let first = match request() {
                Ok(request) => request,
                Err(text) => return nothing(page, task, text),
            };
            let mut fetched = self.transport.fetch(&first, &call).await;
            if let Ok(answered) = &fetched
                && self
                    .site
                    .meaning(page, self.site.status_of(&answered.answer), 1)
                    == StatusMeaning::KeyRefused
                && self.site.take_next_key(&first)
                && let Ok(next) = request()
            {
                fetched = self.transport.fetch(&next, &call).await;
            }
            let probed = self.read(page, task, fetched, context).await;
            match needs_browser(&probed) {
                Some(why) if way.is_some() => changed_to_browser = Some(why),
                _ => return probed,
            }
        }
        let Some(way) = way else {
            return nothing(page, task, "no way to ask".to_owned());
        };
        let fetched = self.transport.by_browser(&way, &call).await;
        let probed = self.read(page, task, fetched, context).await;
        Probed {
            changed_to_browser,
            ..probed
        }
    }

    fn call<'call>(
        &self,
        meaning: &'call (dyn Fn(u16) -> StatusMeaning + Send + Sync),
        redirects: RedirectScope,
        waiting: &'call WaitingOn,
    ) -> Call<'call> {
        Call {
            source: self.site.name(),
            meaning,
            attempts_before: 0,
            redirects,
            waiting,
        }
    }

    async fn read(
        &self,
        page: &PageSpec,
        task: &PlannedTask,
        fetched: Result<Fetched, sources::transport::FetchFailure>,
        context: ReadContext,
    ) -> Probed {
        let answer = match fetched {
            Ok(fetched) => fetched.answer,
            Err(failure) => return nothing(page, task, failure.text),
        };
        let status = self.site.status_of(&answer);
        let reading = match self.site.meaning(page, status, 1) {
            StatusMeaning::Answer => {
                let (site, page, task, answer) =
                    (Arc::clone(&self.site), *page, task.clone(), answer.clone());
                let reading = tokio::task::spawn_blocking(move || {
                    site.read(&page, std::slice::from_ref(&task), &answer, &context)
                        .pop()
                });
                match reading.await {
                    Ok(Some(reading)) => reading,
                    Ok(None) => Reading::Broken(parser_breach("no reading")),
                    // The panic's message is already on standard error.
                    Err(_) => Reading::Broken(parser_breach("a panic")),
                }
            }
            StatusMeaning::Absent => Reading::Absent,
            StatusMeaning::KeyRefused => Reading::Broken(Breach {
                field: "key".to_owned(),
                expected: "a key that the source accepts".to_owned(),
                found: format!("status {status}"),
            }),
            _ => Reading::Broken(Breach {
                field: "HTTP status".to_owned(),
                expected: "200".to_owned(),
                found: status.to_string(),
            }),
        };
        Probed {
            page: page.name,
            key: task.id.key.clone(),
            answer: Ok(answer),
            reading: Some(reading),
            changed_to_browser: None,
        }
    }
}

/// The reason why the page needs the browser; `None` if plain HTTP is enough.
fn needs_browser(probed: &Probed) -> Option<String> {
    let answer = probed.answer.as_ref().ok()?;
    match &probed.reading {
        Some(Reading::NeedsBrowser(breach)) => Some(breach.to_string()),
        Some(Reading::Broken(breach)) if matches!(answer.status, 401 | 403) => {
            Some(breach.to_string())
        }
        _ => None,
    }
}

fn nothing(page: &PageSpec, task: &PlannedTask, why: String) -> Probed {
    Probed {
        page: page.name,
        key: task.id.key.clone(),
        answer: Err(why),
        reading: None,
        changed_to_browser: None,
    }
}

fn too_long(waiting: &WaitingOn) -> String {
    let on = waiting
        .current()
        .map(|waiting| format!(" (it waited for {waiting})"))
        .unwrap_or_default();
    format!("no answer within {} s{on}", LIMIT.as_secs())
}

fn parser_breach(found: &str) -> Breach {
    Breach {
        field: "parser".to_owned(),
        expected: "one reading for the page".to_owned(),
        found: found.to_owned(),
    }
}
