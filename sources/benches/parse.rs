//! Measures the cost of parsing one answer, page by page. The payloads are those of the simulator's market.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::civil::date;
use schema::{ObservationData, PlannedTask, TaskId};
use simulator::{MarketConfig, Simulator};
use sources::page::PageSpec;
use sources::site::{Answer, ReadContext, Reading, Site, Via};
use sources::sites::{Finnomena, SecFundcheck, Wealthmagik};
use url::Url;

/// Business days of NAV: about as many as the oldest funds have.
const DAYS: usize = 5_000;
const CONTEXT: ReadContext = ReadContext {
    cycle_date: date(2026, 10, 15),
};

/// Tasks and the answer to them.
struct Asked {
    site: Box<dyn Site>,
    page: PageSpec,
    tasks: Vec<PlannedTask>,
    answer: Answer,
}

impl Asked {
    async fn of(site: Box<dyn Site>, page: &str, locators: &[(String, Option<String>)]) -> Self {
        let page = *site
            .pages()
            .iter()
            .find(|spec| spec.name == page)
            .expect("a page of the site");
        let tasks: Vec<PlannedTask> = locators
            .iter()
            .map(|(key, locator)| PlannedTask {
                locator: locator.clone(),
                extent: page.extents.last().map(|extent| extent.word.to_owned()),
                ..PlannedTask::new(TaskId {
                    source: site.name(),
                    page: page.name.to_owned(),
                    key: key.clone(),
                })
            })
            .collect();
        let request = site.request(&page, &tasks).expect("a request");
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let asking = match request.post_json {
            Some(json) => client
                .post(request.url.clone())
                .header("Content-Type", "application/json")
                .body(json),
            None => client.get(request.url.clone()),
        };
        let answered = asking.send().await.expect("an answer");
        let answer = Answer {
            url: request.url,
            status: answered.status().as_u16(),
            content_type: None,
            body: answered.bytes().await.expect("a whole answer"),
            via: Via::Http,
        };
        Self {
            site,
            page,
            tasks,
            answer,
        }
    }

    fn read(&self) -> Vec<Reading> {
        self.site
            .read(&self.page, &self.tasks, &self.answer, &CONTEXT)
    }

    /// The codes of a list with the site's own keys.
    fn listed(&self) -> Vec<(String, Option<String>)> {
        let Some(Reading::Observed { observations, .. }) = self.read().pop() else {
            panic!("the list of {} is not read", self.site.name());
        };
        observations
            .into_iter()
            .filter_map(|observation| match observation.data {
                ObservationData::Listing { source_key, .. } => {
                    Some((observation.fund_code.to_string(), Some(source_key)))
                }
                _ => None,
            })
            .collect()
    }
}

async fn all(simulator: &Simulator) -> Vec<(&'static str, Asked)> {
    let urls = simulator.urls();
    let url = |text: &str| Url::parse(text).expect("a URL");
    let finnomena = || Box::new(Finnomena::new(&url(&urls.finnomena), Vec::new()));
    let wealthmagik = || Box::new(Wealthmagik::new(&url(&urls.wealthmagik), Vec::new()));
    let sec = Box::new(SecFundcheck::new(&url(&urls.sec_page), &url(&urls.sec_api)));
    let whole = [(TaskId::WHOLE_MARKET.to_owned(), None)];
    let list = Asked::of(finnomena(), "list", &whole).await;
    let at_wealthmagik = Asked::of(wealthmagik(), "list", &whole).await.listed();
    let at_finnomena = list.listed();
    let codes: Vec<(String, Option<String>)> = simulator
        .market()
        .codes()
        .into_iter()
        .map(|code| (code.to_owned(), None))
        .collect();
    let batch = sec
        .pages()
        .iter()
        .find(|page| page.name == "statistics")
        .map_or(1, |page| page.tasks_per_request.get());
    vec![
        ("finnomena list", list),
        (
            "finnomena nav MAX",
            Asked::of(finnomena(), "nav", &at_finnomena[..1]).await,
        ),
        (
            "finnomena fee",
            Asked::of(finnomena(), "fee", &at_finnomena[..1]).await,
        ),
        (
            "wealthmagik profile",
            Asked::of(wealthmagik(), "profile", &at_wealthmagik[..1]).await,
        ),
        (
            "wealthmagik fee",
            Asked::of(wealthmagik(), "fee", &at_wealthmagik[..1]).await,
        ),
        (
            "sec statistics",
            Asked::of(sec, "statistics", &codes[..batch.min(codes.len())]).await,
        ),
    ]
}

fn parse(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let pages = runtime.block_on(async {
        let simulator = Simulator::start(MarketConfig {
            days: DAYS,
            edge_cases: false,
            ..MarketConfig::default()
        })
        .await
        .expect("the simulator starts");
        all(&simulator).await
    });
    let mut group = criterion.benchmark_group("parse");
    for (name, asked) in &pages {
        let is_read = |reading: &Reading| matches!(reading, Reading::Observed { observations, .. } if !observations.is_empty());
        assert!(
            asked.read().iter().all(is_read),
            "{name} is not read: {:?}",
            asked.read()
        );
        let bytes = u64::try_from(asked.answer.body.len()).expect("a length");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(*name, |bencher| bencher.iter(|| black_box(asked).read()));
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
