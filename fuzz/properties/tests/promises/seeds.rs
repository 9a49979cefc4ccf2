//! The starting points of mutations: the pages of a small simulator, requested like the program does, and a few texts
//! of each kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use schema::{FundCode, ObservationData, PlannedTask, TaskId};
use simulator::{MarketConfig, Simulator};
use sources::site::ReadContext;
use sources::sites::{Finnomena, SecFundcheck, Wealthmagik};
use sources::{Answer, Reading, Site, Via};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// The inputs by target.
pub type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// The sites' pages as (site, page, target).
const PAGES: [(&str, &str, &str); 15] = [
    ("finnomena", "list", "finnomena_list"),
    ("finnomena", "filter", "finnomena_filter"),
    ("finnomena", "fund", "finnomena_fund"),
    ("finnomena", "nav", "finnomena_nav"),
    ("finnomena", "fee", "finnomena_fee"),
    ("finnomena", "portfolio", "finnomena_portfolio"),
    ("finnomena", "dividend", "finnomena_dividend"),
    ("wealthmagik", "list", "wealthmagik_list"),
    ("wealthmagik", "profile", "wealthmagik_profile"),
    ("wealthmagik", "port", "wealthmagik_port"),
    ("wealthmagik", "allocation", "wealthmagik_allocation"),
    ("wealthmagik", "fee", "wealthmagik_fee"),
    ("sec_fundcheck", "statistics", "sec_api"),
    ("finnomena", "factsheet", "factsheet_pdf"),
    ("wealthmagik", "factsheet", "factsheet_pdf"),
];

/// All seeds.
pub fn all() -> Seeds {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut seeds = runtime.block_on(of_simulator());
    for (target, text) in TEXTS {
        seeds
            .entry(target)
            .or_default()
            .push(text.as_bytes().to_vec());
    }
    let json = seeds["finnomena_portfolio"].clone();
    let html = seeds["wealthmagik_profile"].clone();
    seeds.entry("payload_json").or_default().extend(json);
    seeds.entry("payload_html").or_default().extend(html);
    for (choice, parts) in GROWN {
        let mut input = vec![choice];
        input.extend(parts.join(&b"\xFE"[..]));
        seeds.entry("grown_pages").or_default().push(input);
    }
    seeds
}

async fn of_simulator() -> Seeds {
    let config = MarketConfig {
        funds: 12,
        days: 8,
        ..MarketConfig::default()
    };
    let today = config.today;
    let simulator = Simulator::start(config).await.expect("a simulator");
    let urls = simulator.urls();
    let url = |text: &str| Url::parse(text).expect("a URL");
    let documents = vec![urls.documents.trim_start_matches("http://").to_owned()];
    let sites: [Arc<dyn Site>; 3] = [
        Arc::new(Finnomena::new(&url(&urls.finnomena), documents.clone())),
        Arc::new(Wealthmagik::new(&url(&urls.wealthmagik), documents)),
        Arc::new(SecFundcheck::new(&url(&urls.sec_page), &url(&urls.sec_api))),
    ];
    let context = ReadContext { cycle_date: today };
    let mut seeds = Seeds::new();
    // The tasks that the lists and pages lead to, by site: (code, locator).
    let mut funds: BTreeMap<&str, Vec<(FundCode, Option<String>)>> = BTreeMap::new();
    let mut sheets: BTreeMap<&str, Vec<(FundCode, Option<String>)>> = BTreeMap::new();
    for (site_name, page, target) in PAGES {
        let site = sites.iter().find(|site| site.name().as_str() == site_name);
        let site = site.expect("one of the three").as_ref();
        let asked: Vec<(String, Option<String>)> = match page {
            "list" => vec![(TaskId::WHOLE_MARKET.to_owned(), None)],
            TaskId::PIECES => vec![("1".to_owned(), None), ("2".to_owned(), None)],
            "factsheet" => named(sheets.get(site_name), 3),
            "statistics" => named(funds.get("finnomena"), 6),
            _ => named(funds.get(site_name), 6),
        };
        for (key, locator) in asked {
            let Some((answer, task)) = ask(site, page, &key, locator).await else {
                continue;
            };
            seeds.entry(target).or_default().push(answer.body.to_vec());
            let spec = site.pages().iter().find(|spec| spec.name == page);
            let readings = site.read(spec.expect("a page"), &[task], &answer, &context);
            for reading in readings {
                let Reading::Observed { observations, .. } = reading else {
                    continue;
                };
                for observation in observations {
                    match observation.data {
                        ObservationData::Listing { source_key, .. } => funds
                            .entry(site_name)
                            .or_default()
                            .push((observation.fund_code, Some(source_key))),
                        ObservationData::FactsheetLink(link) => sheets
                            .entry(site_name)
                            .or_default()
                            .push((observation.fund_code, link.factsheet_url)),
                        _ => {}
                    }
                }
            }
        }
    }
    seeds
}

fn named(
    funds: Option<&Vec<(FundCode, Option<String>)>>,
    most: usize,
) -> Vec<(String, Option<String>)> {
    let name = |(code, locator): &(FundCode, Option<String>)| (code.to_string(), locator.clone());
    funds.into_iter().flatten().take(most).map(name).collect()
}

/// Requests one page of the simulator; `None` if the status is not 200.
async fn ask(
    site: &dyn Site,
    page: &str,
    key: &str,
    locator: Option<String>,
) -> Option<(Answer, PlannedTask)> {
    let task = PlannedTask {
        locator,
        ..PlannedTask::new(TaskId {
            source: site.name(),
            page: page.to_owned(),
            key: key.to_owned(),
        })
    };
    let spec = site.pages().iter().find(|spec| spec.name == page)?;
    let request = site.request(spec, std::slice::from_ref(&task)).ok()?;
    let host = format!("{}:{}", request.url.host_str()?, request.url.port()?);
    let path = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
    let (method, body) = match &request.post_json {
        Some(json) => ("POST", json.as_str()),
        None => ("GET", ""),
    };
    let text = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: seeds\r\nAccept: */*\r\nContent-Type: application/json\r\nOrigin: {host}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&host)
        .await
        .expect("the simulator listens");
    stream.write_all(text.as_bytes()).await.expect("a request");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let is_ok = bytes.get(9..12) == Some(b"200");
    is_ok.then(|| {
        let answer = Answer {
            url: request.url,
            status: 200,
            content_type: None,
            body: bytes.split_off(end + 4).into(),
            via: Via::Http,
        };
        (answer, task)
    })
}

/// Texts of each kind, in the sites' spellings.
const TEXTS: [(&str, &str); 51] = [
    (
        "register_profiles",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","proj_abbr_name":"A","proj_name_th":"กองทุน","comp_name_en":"AMC","fund_status":"Registered","regis_date":"2004-01-02","fund_class_name":"main","fund_class_isin_code":"TH1234567895"}]}"#,
    ),
    (
        "register_daily",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","nav_date":"2026-10-15","net_asset":1.5,"last_val":10.1,"sell_price":10.2,"buy_price":0.0}]}"#,
    ),
    (
        "register_statistics",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","sharpe_ratio":"0.5","alpha":"0","recovering_period":"1 ปี 2 เดือน","maximum_drawdown":"-37.99"}]}"#,
    ),
    (
        "register_fees",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","fee_type_desc":"ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)","rate":1.5,"actual_value":0},{"proj_id":"M0512_2546","fund_class_name":"main","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","fee_type_desc":"SWITCHING IN","rate":0,"actual_value":0}]}"#,
    ),
    (
        "register_risk",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","risk_spectrum":"RS81"}]}"#,
    ),
    (
        "register_dividend_policy",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","dividend_policy":"N"}]}"#,
    ),
    (
        "register_minimums",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","minimum_sub_ipo":5000,"minimum_sub_ipo_cur":"THB   ","minimum_sub":0,"minimum_sub_cur":"USD  "}]}"#,
    ),
    (
        "register_factsheet_links",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","prospectus_type":"Monthly","amc_url_factsheet":"https://company.example/Q&A/a.pdf","pdf_factsheet":"https://docs.example/M0512_2546.pdf","as_of_date":"2025-09-30"},{"proj_id":"M0513_2546","fund_class_name":"main","prospectus_type":"Monthly","amc_url_factsheet":"","pdf_factsheet":null,"as_of_date":"2025-09-30"}]}"#,
    ),
    (
        "register_allocation",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","asset_seq":2,"asset_name":"หุ้นสามัญ","asset_ratio":93.16},{"proj_id":"M0513_2546","fund_class_name":"A","start_date":"2026-09-30","end_date":null,"prospectus_type":"Monthly","asset_seq":1,"asset_name":"เงินฝาก","asset_ratio":"1"}]}"#,
    ),
    (
        "register_portfolio",
        r#"{"message":"success","page_size":100,"next_cursor":"c","items":[{"proj_id":"M0512_2546","period":202609,"as_of_date":"2026-09-30","assetliab_id":"205","assetliab_desc":"ตั๋วเงินคลัง","issue_code":"TB23705A","percent_nav":2.72392},{"proj_id":"M0512_2546","period":202609,"as_of_date":"2026-09-30","assetliab_id":"903","assetliab_desc":"รวม","issue_code":null,"percent_nav":100}]}"#,
    ),
    (
        "wealthmagik_list",
        "<div class=fundCode id='wmg.fundscreenerdetail.button.fundcode.K-USA-A(A)'><a href='/funds/K-USA-A(A)/profile'>x</a></div>",
    ),
    (
        "sec_page",
        "<div class=card-body><div><p id=sharpe-ratio>Sharpe</p><p>0.51</p></div><p id=recovering-period>ระยะเวลา</p><p>1 ปี 2 เดือน</p> ข้อมูล ณ วันที่ 31/01/2569</div>",
    ),
    ("sec_page", "<div class='card-body'>ไม่พบข้อมูล</div>"),
    (
        "factsheet_text",
        "KFGTECH\nกองทุนเปิด\n ISIN Code : TH1234567895      Bloomberg Code : KFGTECH TB    x\n",
    ),
    (
        "factsheet_text",
        "K-USA-A(A)\nK-USA-A  TH1234567895\nK-USA-A(A)  TH0000000008\nBloomberg\n  KUSAA TB\nMaster fund ISIN: US0378331005\n",
    ),
    ("factsheet_pdf", "%PDF-1.4 rubbish"),
    ("payload_json", "[[[{\"a\":NaN}]]]"),
    (
        "payload_html",
        "<table><b><p id=a.b.c>x<script>y</script><h1>404",
    ),
    ("text_number", "1,234,567.8900"),
    ("text_number", "(1,000.50) %"),
    ("text_number", "−1.5 บาท"),
    ("text_number", "๑๒.๓๔% ต่อปี"),
    ("text_number", "1.5E-7"),
    ("text_number", "9999999999999999.9999999999"),
    ("text_number", "-0.12345678905"),
    ("text_date", "2026-02-12T00:00:00+07:00"),
    ("text_date", "ข้อมูล ณ วันที่ : 12 ก.พ. 2569"),
    ("text_date", "12กุมภาพันธ์ พ.ศ. ๒๕๖๙ 17:30 น."),
    ("text_date", "Feb 12, 2026"),
    ("text_date", "20260212"),
    ("text_period", "1 ปี 2 เดือน 3 วัน"),
    ("text_period", "1 year 3 days"),
    (
        "text_name",
        "น\u{0E49}\u{0E4D}\u{0E32}มัน \u{200b} e\u{301} (KBANK)\u{a0}7% O'N",
    ),
    ("text_name", "KKP \u{200b} NDQ100"),
    ("site_requests", "KK BRIC 7%#1\n/funds/KK%20BRIC%207%25%231"),
    ("site_requests", "A/B\nhttps://docs.example.org/a b.pdf"),
    (
        "robots_txt",
        "User-agent: *\nDisallow: /private\nAllow: /a*b$\n",
    ),
    (
        "robots_txt",
        "/x?y\nuser-agent: master_runner\ndisallow: /%e0%b8%81\ncrawl-delay: 10\n",
    ),
    ("retry_after", "120"),
    (
        "retry_after",
        "Wed, 21 Oct 2026 07:28:00 GMT\nWed, 21 Oct 2026 07:27:00 GMT",
    ),
    ("redirect", "\0/fn3/b?c#d"),
    ("redirect", "\u{1}https://docs.example.org/x"),
    ("redirect", "\u{2}//www.finnomena.com:443/robots.txt"),
    ("redirect", "\u{1}https://user@docs.example.org:8443/"),
    ("runner_ron", include_str!("../../../../runner.ron")),
    (
        "runner_ron",
        "(mode: 3, database: Url(\"postgres://me:hunter2@host/db\"))",
    ),
    (
        "runner_ron",
        "(database: \"postgres://me:hunter2@host/db\")",
    ),
    (
        "runner_ron",
        "(schedule: (holidays: [\"2026-01-01\"], skip_weekdays: [Sunday]))",
    ),
    (
        "runner_ron",
        "(sources: (finnomena: (request_per_sec: 1.0)))",
    ),
    (
        "runner_ron",
        "(patience: (host_back_off_secs: (30, 600, 900)))",
    ),
    (
        "runner_ron",
        "/* a */ (browser: (webdriver: Url(\"http://grid:4444\")))",
    ),
];

/// Grown pages: the selected page, the beginning and the repeated pieces.
const GROWN: [(u8, &[&[u8]]); 15] = [
    (0, &[b"", b"<div>"]),
    (0, &[b"<p>", b"<b><i a=1>", b"<p>x"]),
    (0, &[b"<table>", b"<tr><td><table>"]),
    (0, &[b"<a ", b"b='1' "]),
    (1, &[b"", b"["]),
    (1, &[b"[", b"\"a\",", b"", b"", b"1]"]),
    (
        2,
        &[
            b"{\"status\":true,\"data\":[",
            b"{\"short_code\":\"A\",\"sec_is_active\":2},",
            b"",
            b"",
            b"1]}",
        ],
    ),
    (
        3,
        &[
            b"{\"data\":{\"navs\":[",
            b"{\"date\":\"20261001\",\"value\":\"x\"},",
            b"",
            b"",
            b"1]}}",
        ],
    ),
    (
        7,
        &[
            b"<div class=fundName><h1>A</h1>",
            b"<div class='fundName groupDetail nav'>x<i class=label>y</i>",
        ],
    ),
    (
        8,
        &[
            b"<div class=fundName><h1>A</h1>",
            b"<div class=portallocation-list>",
            b"<p class=name-text>n</p>",
        ],
    ),
    (
        9,
        &[
            b"<div class='fundName investmentAllocationByAsset'><h1>A</h1><table>",
            b"<tr class=mat-row><td class=cdk-column-name>n",
        ],
    ),
    (13, &[b"A\n", b"TH1234567890 "]),
    (14, &[b"user-agent: *\n", b"disallow: /*a*b\n"]),
    (15, &[b"", b"(sources: "]),
    (
        16,
        &[
            b"{\"data\":{\"funds\":[",
            b"{\"fund_id\":\"F\",\"short_code\":\"A\",\"nav\":1,\"nav_date\":\"20261001\"},",
            b"",
            b"",
            b"1]}}",
        ],
    ),
];
