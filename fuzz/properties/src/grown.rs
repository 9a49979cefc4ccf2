//! Grows small inputs to large pages: a parser whose cost is not linear shows up as a time-out or as memory.

use crate::{pages, payloads, protocol, runner_ron};

/// The size of a grown page in bytes, unless `MASTER_RUNNER_GROWN_BYTES` sets a larger one. The fuzzers do: their
/// builds are optimised.
const GROWN: usize = 16 * 1024;
/// Separates the parts of an input. This byte never occurs in UTF-8.
const SEPARATOR: u8 = 0xFE;

const CHECKS: [fn(&[u8]); 18] = [
    payloads::html,
    payloads::json,
    pages::finnomena_list,
    pages::finnomena_nav,
    pages::finnomena_fee,
    pages::finnomena_portfolio,
    pages::finnomena_dividend,
    pages::wealthmagik_list,
    pages::wealthmagik_profile,
    pages::wealthmagik_port,
    pages::wealthmagik_allocation,
    pages::wealthmagik_fee,
    pages::sec_api,
    pages::sec_page,
    pages::factsheet_text,
    protocol::robots_txt,
    runner_ron::runner_ron,
    pages::finnomena_filter,
];

/// Builds a page from the input and checks it.
///
/// The first byte selects the page. The rest is a beginning and up to three pieces, which are repeated until the page
/// has its size. The beginning and a last piece after a fourth separator are not repeated.
pub fn pages(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let mut parts = rest.splitn(5, |byte| *byte == SEPARATOR);
    let mut body = parts.next().unwrap_or(&[]).to_vec();
    let repeated: Vec<&[u8]> = parts
        .by_ref()
        .take(3)
        .filter(|part| !part.is_empty())
        .collect();
    let grown = match std::env::var("MASTER_RUNNER_GROWN_BYTES") {
        Ok(bytes) => bytes
            .parse()
            .expect("MASTER_RUNNER_GROWN_BYTES is a number"),
        Err(_) => GROWN,
    };
    for part in &repeated {
        let times = grown / repeated.len() / part.len();
        body.extend(part.repeat(times));
    }
    body.extend(parts.next().unwrap_or(&[]));
    let check = CHECKS[usize::from(*choice) % CHECKS.len()];
    check(&body);
}
