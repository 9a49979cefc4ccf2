//! The minimal work with a site: its responses are read and discarded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use simulator::{LoggedRequest, Site, Urls};

use crate::Trouble;
use crate::requests::page_kind;

/// The result of fetching all requests.
pub struct Fetched {
    /// Total time.
    pub taken: Duration,
    /// Number of responses and their bytes, by host and kind of page.
    pub pages: BTreeMap<(Site, String), (usize, usize)>,
}

impl Fetched {
    /// A Markdown table of the bytes per page.
    #[must_use]
    pub fn table(&self, title: &str) -> String {
        let mut text =
            format!("\n{title}\n\n| host | page | answers | bytes each |\n|---|---|---|---|\n");
        for ((site, kind), (answers, bytes)) in &self.pages {
            let each = bytes / answers.max(&1);
            text.push_str(&format!(
                "| {} | {kind} | {answers} | {each} |\n",
                site.name()
            ));
        }
        text
    }
}

/// Sends all these requests again, with `in_flight` requests per host.
///
/// # Errors
/// A response that is not received completely.
pub async fn fetch(
    urls: &Urls,
    requests: &[LoggedRequest],
    in_flight: usize,
) -> Result<Fetched, Trouble> {
    // Like the runner: no proxy for a host of this machine.
    let client = Client::builder().no_proxy().build()?;
    let begun = Instant::now();
    let hosts = Site::ALL.map(|site| {
        let client = &client;
        let of_host: Vec<&LoggedRequest> = requests
            .iter()
            .filter(|request| request.site == site)
            .collect();
        async move {
            let mut pages = BTreeMap::new();
            let mut answers = stream::iter(of_host)
                .map(|request| async move {
                    let bytes = fetch_one(client, base(urls, site), request).await?;
                    Ok::<_, Trouble>((page_kind(site, &request.path), bytes))
                })
                .buffer_unordered(in_flight);
            while let Some(answer) = answers.next().await {
                let (kind, bytes) = answer?;
                let page: &mut (usize, usize) = pages.entry((site, kind)).or_default();
                *page = (page.0 + 1, page.1 + bytes);
            }
            Ok::<_, Trouble>(pages)
        }
    });
    let pages = futures_util::future::try_join_all(hosts).await?;
    Ok(Fetched {
        taken: begun.elapsed(),
        pages: pages.into_iter().flatten().collect(),
    })
}

/// The number of bytes of one response.
async fn fetch_one(client: &Client, base: &str, request: &LoggedRequest) -> Result<usize, Trouble> {
    let url = format!("{base}{}", request.path);
    let asking = if request.method == "POST" {
        client
            .post(url)
            .header("Content-Type", "application/json")
            .body(request.asked.clone())
    } else {
        client.get(url)
    };
    let mut answer = asking.send().await?;
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await? {
        bytes += chunk.len();
    }
    Ok(bytes)
}

fn base(urls: &Urls, site: Site) -> &str {
    match site {
        Site::Finnomena => &urls.finnomena,
        Site::WealthMagik => &urls.wealthmagik,
        Site::SecPage => &urls.sec_page,
        Site::SecApi => &urls.sec_api,
        Site::Documents => &urls.documents,
        Site::SecOpenApi => &urls.sec_open_api,
    }
}
