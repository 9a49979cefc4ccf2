//! The least that can be done with a site: its answers are read and thrown away.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use replica::{LoggedRequest, Site, Urls};
use reqwest::Client;

use crate::Trouble;

/// Asks for all of this once more, with so many requests of each host in flight, and says how long that took.
///
/// # Errors
/// An answer that does not come whole.
pub async fn fetch(
    urls: &Urls,
    requests: &[LoggedRequest],
    in_flight: usize,
) -> Result<Duration, Trouble> {
    // As the runner does: no proxy stands before a host of this machine.
    let client = Client::builder().no_proxy().build()?;
    let begun = Instant::now();
    let hosts = Site::ALL.map(|site| {
        let client = &client;
        let of_host: Vec<&LoggedRequest> = requests
            .iter()
            .filter(|request| request.site == site)
            .collect();
        async move {
            let mut answers = stream::iter(of_host)
                .map(|request| fetch_one(client, base(urls, site), request))
                .buffer_unordered(in_flight);
            while let Some(answer) = answers.next().await {
                answer?;
            }
            Ok::<(), Trouble>(())
        }
    });
    futures_util::future::try_join_all(hosts).await?;
    Ok(begun.elapsed())
}

async fn fetch_one(client: &Client, base: &str, request: &LoggedRequest) -> Result<(), Trouble> {
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
    while answer.chunk().await?.is_some() {}
    Ok(())
}

fn base(urls: &Urls, site: Site) -> &str {
    match site {
        Site::Finnomena => &urls.finnomena,
        Site::WealthMagik => &urls.wealthmagik,
        Site::SecPage => &urls.sec_page,
        Site::SecApi => &urls.sec_api,
        Site::Documents => &urls.documents,
    }
}
