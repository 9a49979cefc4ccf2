//! Tests of WealthMagik's parsers, page by page, on hand-written pages.

use proptest::prelude::*;
use schema::ObservationData;
use url::Url;

use super::Wealthmagik;
use crate::site::{BrowserWay, Reading, Site, Via};
use crate::sites::asked::{fields, page, read_all, said, task};

fn site() -> Wealthmagik {
    Wealthmagik::new(
        &Url::parse("https://www.wealthmagik.com").expect("a URL"),
        Vec::new(),
    )
}

fn read_by(via: Via, page: &str, body: &str) -> Reading {
    let site = site();
    let tasks = [task(&site, page, "K&A 7%", Some("/funds/K%26A%207%25"))];
    read_all(&site, page, &tasks, body.as_bytes(), via).remove(0)
}

fn read(page: &str, body: &str) -> Reading {
    read_by(Via::Http, page, body)
}

fn lines(reading: Reading) -> (Vec<String>, Vec<String>) {
    let (observations, rejects) = said(reading);
    let lines = observations
        .into_iter()
        .flat_map(|observation| {
            let as_of = observation
                .as_of_date
                .map(|date| format!(" @{date}"))
                .unwrap_or_default();
            let mut head = format!("{}{as_of}", observation.data.dataset());
            if let ObservationData::Listing { source_key, .. } = &observation.data {
                return vec![format!("{} {source_key}", observation.fund_code)];
            }
            head.push(' ');
            fields(observation.data)
                .into_iter()
                .map(|line| format!("{head}{line}"))
                .collect()
        })
        .collect();
    (lines, rejects)
}

const NAME: &str = "<div class='fundName'><h1>K&amp;A 7%</h1><span class='categoryTH'>กองทุนเปิด\tก\u{a0}7%</span></div>";

fn of_fund(content: &str) -> String {
    format!("<html><body>{NAME}{content}</body></html>")
}

#[test]
fn pages_are_requested_below_the_path_from_the_list() {
    let site = site();
    let url = |page_name: &str, locator| {
        let task = task(&site, page_name, "K-USA-A(A)", locator);
        site.request(&page(&site, page_name), &[task])
            .expect("a request")
            .url
            .to_string()
    };
    assert_eq!(
        url("port", Some("/funds/K-USA-A(A)")),
        "https://www.wealthmagik.com/funds/K-USA-A(A)/port"
    );
    assert_eq!(
        url("fee", None),
        "https://www.wealthmagik.com/funds/K-USA-A%28A%29/fee"
    );
    assert_eq!(
        url("list", None),
        "https://www.wealthmagik.com/json-search/fundSearch.json"
    );
    let way = site
        .by_browser(&page(&site, "list"), &task(&site, "list", "*", None))
        .expect("a way")
        .expect("a way");
    let BrowserWay::Visit(visit) = way else {
        panic!("no visit: {way:?}");
    };
    assert_eq!(visit.url.as_str(), "https://www.wealthmagik.com/funds");
    assert_eq!(
        (visit.overlay_css, visit.lazy_items_css),
        (Some("#popupAdsClose"), Some(".fundCode"))
    );
}

#[test]
fn the_list_is_read_as_json_and_as_the_lazy_page() {
    let json = r#"{"data":[{"v":" K-USA-A(A) ---กองทุน---x","u":"/funds/K-USA-A(A)"},{"v":"B&C---x","u":"https://www.wealthmagik.com/funds/B%26C/profile"},
        {"v":"TERF #1---x","u":"funds/TERF #1/profile/"},{"v":"F---x","u":"https://elsewhere.example/f"},{"v":"G","u":null},
        {"v":"B&C---x","u":"/funds/B%26C"},{"v":"G---y","u":"/funds/other"},{"v":"---x","u":"/a"},{"v":null},5]}"#;
    let (found, rejects) = lines(read("list", json));
    assert_eq!(
        found,
        [
            "B&C /funds/B%26C",
            "F /funds/F",
            "G /funds/G",
            "K-USA-A(A) /funds/K-USA-A(A)",
            "TERF #1 /funds/TERF%20%231"
        ]
    );
    assert_eq!(
        rejects,
        ["noted u", "rejected v", "rejected v", "rejected *"]
    );
    let html = "<div><a class='fundCode' href='/funds/A.B/profile' id='wmg.fundscreenerdetail.button.fundcode.A.B'>A.B</a>
        <div class='fundCode' id='wmg.fundscreenerdetail.button.fundcode.BT-AUTOFIX 3Y/1'></div><p class='fundCode'></p></div>";
    let (found, rejects) = lines(read_by(Via::Browser, "list", html));
    assert_eq!(
        (found, rejects),
        (
            vec![
                "A.B /funds/A.B".to_owned(),
                "BT-AUTOFIX 3Y/1 /funds/BT-AUTOFIX%203Y%2F1".to_owned()
            ],
            vec![]
        )
    );
    assert!(matches!(read("list", html), Reading::NeedsBrowser(_)));
    for empty in [r#"{"data":[]}"#, r#"{"items":[]}"#, "{}", ""] {
        assert!(matches!(read("list", empty), Reading::Broken(_)), "{empty}");
    }
}

const FIELDS: &str = "<p id='wmg.funddetailinfo.text.tnaclassDate.20260212'></p><p id='wmg.funddetailinfo.text.bidPrice.10.1000'></p>
    <p id='wmg.funddetailinfo.text.offerPrice.0.0000'></p><p id='wmg.funddetailinfo.text.totalnetAsset.1,234,567.89'></p>
    <p id='wmg.funddetailinfo.text.riskSpectrum.8+ - เสี่ยงสูงมาก'></p><p id='wmg.funddetailinfo.text.categoryTH.หุ้น'></p>
    <p id='wmg.funddetailinfo.text.aimcCategories.Equity. Large'></p><p id='wmg.funddetailinfo.text.isDividend.N'></p>
    <p id='wmg.funddetailinfo.text.inceptionDate.00010101'></p>
    <a id='wmg.funddetailinfo.button.factSheetPath.https://docs.example.org/a b.c.pdf'></a>
    <ul class='nav'><li>หน้าแรก</li></ul><div class='nav'>12.3456</div>
    <div class='groupDetail'><div class='label'>FX Hedging</div><div class='value'><span>95.5%</span></div></div>
    <div class='groupDetail'><div class='label'>Turnover Ratio</div><div class='value'><span>N/A</span></div></div>";

#[test]
fn the_profile_gives_prices_on_the_date_it_names_itself() {
    let (found, rejects) = lines(read("profile", &of_fund(FIELDS)));
    assert_eq!(
        found,
        [
            "daily 2026-02-12 12.3456 1234567.89 10.1 -",
            "master category=Equity. Large",
            "master full_name_th=กองทุนเปิด ก 7%",
            "master is_dividend=ไม่จ่าย",
            "master risk_level=8",
            "statistics fx_hedging=95.5",
            "factsheet_link factsheet_url=https://docs.example.org/a b.c.pdf",
        ]
    );
    assert!(rejects.is_empty(), "{rejects:?}");
}

#[test]
fn the_embedded_state_has_precedence_and_a_disagreement_is_noted() {
    let state = |fields: &str| {
        format!(
            "<script id='serverApp-state' type='application/json'>{{&q;fund-detail&q;:{{&q;fundCode&q;:&q;K&a;A 7%&q;,{fields}}}}}</script>"
        )
    };
    let agreed = state(
        "&q;tnaclassDate&q;:&q;20260212&q;,&q;bidPrice&q;:10.15,&q;offerPrice&q;:10.2,&q;NAV&q;:12.3456",
    );
    let (found, rejects) = lines(read("profile", &of_fund(&format!("{FIELDS}{agreed}"))));
    assert_eq!(found[0], "daily 2026-02-12 12.3456 1234567.89 10.15 10.2");
    assert_eq!(rejects, ["noted bidPrice"]);
    let (found, _) = lines(read(
        "profile",
        &of_fund(&state(
            "&q;tnaclassDate&q;:&q;20260212&q;,&q;NAV&q;:0,&q;bidPrice&q;:NaN,&q;offerPrice&q;:null",
        )),
    ));
    assert_eq!(found[0], "master full_name_th=กองทุนเปิด ก 7%");
    let broken_state = "<script id='serverApp-state'>{&q;</script>";
    let (found, rejects) = lines(read(
        "profile",
        &of_fund(&format!("{FIELDS}{broken_state}")),
    ));
    assert_eq!(found[0], "daily 2026-02-12 12.3456 1234567.89 10.1 -");
    assert_eq!(rejects, ["noted serverApp-state"]);
}

#[test]
fn prices_without_a_believable_date_are_not_taken() {
    for (date, reject) in [
        ("20990101", "rejected tnaclassDate"),
        ("20260230", "rejected tnaclassDate"),
        ("00010101", "rejected tnaclassDate"),
    ] {
        let (found, rejects) = lines(read("profile", &of_fund(&FIELDS.replace("20260212", date))));
        assert!(found[0].starts_with("master"), "{date} {found:?}");
        assert_eq!(rejects[0], reject, "{date}");
    }
}

#[test]
fn another_funds_page_an_error_page_and_a_shell_are_distinguished() {
    for page in ["profile", "port", "allocation", "fee"] {
        let other = format!(
            "<div class='fundName'><h1>OTHER</h1></div>{FIELDS}<div class='emptyData'></div>"
        );
        assert!(matches!(read(page, &other), Reading::Broken(_)), "{page}");
        let error = "<html><body><h1>ขออภัย ไม่พบหน้าที่ต้องการ</h1></body></html>";
        assert!(matches!(read(page, error), Reading::Broken(_)), "{page}");
        let shell =
            "<html><body><app-root></app-root><script src='main.js'></script></body></html>";
        assert!(
            matches!(read(page, shell), Reading::NeedsBrowser(_)),
            "{page}"
        );
        assert!(
            matches!(read_by(Via::Browser, page, shell), Reading::NeedsBrowser(_)),
            "{page}: worth a second visit, too"
        );
        let unwritten = of_fund("<p id='wmg.funddetailinfo.text.bidPrice.'></p>");
        for via in [Via::Http, Via::Browser] {
            for nothing in [&unwritten, &of_fund("")] {
                assert!(
                    matches!(read_by(via, page, nothing), Reading::NeedsBrowser(_)),
                    "{via:?} {page} {nothing}"
                );
            }
        }
    }
}

#[test]
fn holdings_stay_whole_in_page_order_with_equal_rows() {
    let row = |name: &str, ratio: &str| {
        format!(
            "<div class='portallocation-list'><span class='name-text'>{name}</span><span class='ratio-text'>{ratio}</span></div>"
        )
    };
    let rows = [
        row("KASIKORNBANK\t(KBANK)", "12.34%"),
        row("O'N 7% #1", "-0.70 %"),
        row("O'N 7% #1", "-0.70 %"),
        row("Cash", "-"),
        row("Bad", "abc"),
        row("", "1%"),
    ];
    let html = of_fund(&format!(
        "<p class='date-detail-text'>ข้อมูล ณ วันที่ 31 ม.ค. 2569</p>{}<div class='emptyData' hidden></div>",
        rows.concat()
    ));
    let (found, rejects) = lines(read("port", &html));
    assert_eq!(
        found,
        [
            "full_holdings @2026-01-31 KASIKORNBANK (KBANK)=12.34",
            "full_holdings @2026-01-31 O'N 7% #1=-0.7",
            "full_holdings @2026-01-31 O'N 7% #1=-0.7",
            "full_holdings @2026-01-31 Cash=-",
            "full_holdings @2026-01-31 Bad=-",
            "full_holdings @2026-01-31 unreadable=2",
        ]
    );
    assert_eq!(rejects, ["noted percent", "rejected name"]);
    let older = of_fund(&format!(
        "<div class='mainDivtopHolding'><span class='asofdate'>as of 31/01/2569</span></div>{}",
        rows[0]
    ));
    assert_eq!(
        lines(read("port", &older)).0,
        ["full_holdings @2026-01-31 KASIKORNBANK (KBANK)=12.34"]
    );
    assert_eq!(
        read("port", &of_fund("<div class='emptyData'>ไม่มีข้อมูล</div>")),
        Reading::Absent
    );
}

const ASSET: &str = "<div class='investmentAllocationByAsset'><span class='asofdate'>ณ วันที่ 31/01/69</span><table><tr class='mat-header-row'><th class='cdk-column-name'>x</th></tr>
    <tr class='mat-row'><td class='cdk-column-name'>หุ้น 7%</td><td class='cdk-column-ratio'>99.66 %</td></tr></table></div>";

#[test]
fn each_container_of_the_allocation_is_read_by_itself() {
    let country = "<div class='investmentAllocationByCountry'><table><tr class='mat-row'><td class='cdk-column-name'>Thailand</td><td class='cdk-column-ratio'>0</td></tr></table></div>";
    let own_empty = "<div class='investmentAllocationByCountry'><p class='emptyData'></p></div>";
    let bare = "<div class='investmentAllocationByCountry'></div>";
    let both = [
        "asset_allocation @2026-01-31 หุ้น 7%=99.66",
        "country_allocation Thailand=0",
    ];
    assert_eq!(
        lines(read("allocation", &of_fund(&format!("{ASSET}{country}")))),
        (both.map(str::to_owned).to_vec(), vec![])
    );
    for other in [own_empty, ""] {
        assert_eq!(
            lines(read("allocation", &of_fund(&format!("{ASSET}{other}")))).0,
            both[..1]
        );
    }
    assert!(matches!(
        read("allocation", &of_fund(&format!("{ASSET}{bare}"))),
        Reading::NeedsBrowser(_)
    ));
    let (found, rejects) = lines(read_by(
        Via::Browser,
        "allocation",
        &of_fund(&format!("{ASSET}{bare}")),
    ));
    assert_eq!(
        (found.as_slice(), rejects.len()),
        (&[both[0].to_owned()][..], 1)
    );
    // The `.emptyData` of one container does not apply to the other.
    let bare_asset = "<div class='investmentAllocationByAsset'></div>";
    assert!(matches!(
        read("allocation", &of_fund(&format!("{bare_asset}{own_empty}"))),
        Reading::NeedsBrowser(_)
    ));
    assert_eq!(
        read(
            "allocation",
            &of_fund(&format!("{bare_asset}{bare}<p class='emptyData'></p>"))
        ),
        Reading::Absent
    );
    assert_eq!(
        read("allocation", &of_fund("<p class='emptyData'></p>")),
        Reading::Absent
    );
    assert!(matches!(
        read("allocation", ASSET),
        Reading::NeedsBrowser(_)
    ));
}

#[test]
fn one_bad_fee_cell_costs_one_cell() {
    let cell =
        |id: &str, text: &str| format!("<span id='wmg.funddetailfee.text.{id}'>{text}</span>");
    let html = of_fund(
        &[
            cell("frontEndFee-ffs", "1.50%"),
            cell("frontEndFee-actual", "0.00 %"),
            cell("backEndFee-ffs", "999,999.00"),
            cell("backEndFee-actual", "ยกเว้น"),
            cell("switchingInFee-ffs", "10 บาท"),
            cell("switchingOutFee-ffs", "ตามดุลยพินิจ"),
            cell("managementFee-ffs", "-"),
            cell("managementFee-actual", "1.07\u{a0}% ต่อปี"),
            "<span id='totalExpenseRatio-ffs'>5</span>".to_owned(),
            cell("totalExpenseRatioActual-ffs", "1.27"),
            cell("initialPurchase-ffs", "1,000 บาท"),
            cell("additionalPurchase-ffs", "999999"),
        ]
        .concat(),
    );
    let (found, rejects) = lines(read("fee", &html));
    assert_eq!(
        found,
        [
            "fees back_end_actual=0",
            "fees front_end_actual=0",
            "fees front_end_max=1.5",
            "fees management_actual=1.07",
            "fees min_initial_buy=1000",
            "fees ter_actual=1.27",
            "fees ter_max=5",
        ]
    );
    assert_eq!(
        rejects,
        ["noted switchingInFee-ffs", "noted switchingOutFee-ffs"]
    );
    let unfilled = of_fund(&cell("frontEndFee-ffs", " "));
    assert!(matches!(read("fee", &unfilled), Reading::NeedsBrowser(_)));
}

#[test]
fn a_token_in_a_script_does_not_make_a_page_new() {
    let site = site();
    let hashed = |token: &str| {
        let answer = crate::site::Answer {
            url: Url::parse("https://www.wealthmagik.com/funds/A/port").expect("a URL"),
            status: 200,
            content_type: None,
            body: of_fund(&format!(
                "{FIELDS}<script nonce='{token}'>t='{token}'</script>"
            ))
            .into_bytes()
            .into(),
            via: Via::Http,
        };
        site.hashed_part(&page(&site, "port"), &answer).into_owned()
    };
    assert_eq!(hashed("1"), hashed("2"));
}

#[test]
fn a_name_longer_than_255_characters_is_kept_whole() {
    let long = "ก".repeat(300);
    let html = of_fund(&format!(
        "<div class='portallocation-list'><span class='name-text'>{long}</span><span class='ratio-text'>1%</span></div>"
    ));
    assert_eq!(
        lines(read("port", &html)),
        (vec![format!("full_holdings {long}=1")], vec![])
    );
}

#[test]
fn d3_a_list_inside_a_list_is_no_second_holding() {
    let html = of_fund(
        "<div class='portallocation-list'><span class='name-text'>A</span><div class='portallocation-list'><span class='name-text'>B</span><span class='ratio-text'>2%</span></div><span class='ratio-text'>1%</span></div>",
    );
    assert_eq!(
        lines(read("port", &html)),
        (
            vec![
                "full_holdings A=1".to_owned(),
                "full_holdings B=2".to_owned()
            ],
            vec![]
        )
    );
}

/// D7: a profile is accepted only with the date, the bid and the offer, in its state or as ids.
#[test]
fn a_profile_without_its_prices_is_not_read() {
    let id =
        |field: &str, value: &str| format!("<p id='wmg.funddetailinfo.text.{field}.{value}'></p>");
    let state = |fields: &str| {
        format!(
            r#"<script id="ng-state" type="application/json">{{"fund-detail":{{"fundCode":"K\u0026A 7%"{fields}}}}}</script>"#
        )
    };
    let whole_state =
        state(r#","tnaclassDate":"20260212","bidPrice":10.15,"offerPrice":10.2,"NAV":11"#);
    let describing = [
        id("riskSpectrum", "6"),
        id("aimcCategories", "Equity"),
        id("inceptionDate", "20060810"),
    ]
    .concat();
    for lost in [
        id("categoryTH", "หุ้น"),
        id("tnaclassDate", "20260212"),
        [id("tnaclassDate", "20260212"), id("bidPrice", "10")].concat(),
        [
            id("tnaclassDate", "20260212"),
            id("bidPrice", "10"),
            id("offerPrice", ""),
        ]
        .concat(),
        describing.clone(),
        state(""),
        state(r#","tnaclassDate":"20260212","NAV":11"#),
        FIELDS.replace("bidPrice", "bid_price"),
    ] {
        let page = of_fund(&lost);
        assert!(
            matches!(read("profile", &page), Reading::NeedsBrowser(_)),
            "{lost}"
        );
        let by_browser = read_by(Via::Browser, "profile", &page);
        let is_read = lost.contains("offerPrice.'");
        assert_eq!(matches!(by_browser, Reading::Broken(_)), !is_read, "{lost}");
    }
    let (found, rejects) = lines(read("profile", &of_fund(&whole_state)));
    assert_eq!(found[0], "daily 2026-02-12 11 - 10.15 10.2");
    assert!(rejects.is_empty(), "{rejects:?}");
    // A fund without a price so far.
    let without = format!("<div class='nav'> - </div>{describing}");
    let (found, rejects) = lines(read("profile", &of_fund(&without)));
    assert!(found[0].starts_with("master"), "{found:?}");
    assert!(rejects.is_empty(), "{rejects:?}");
}

#[test]
fn a_page_whose_cells_have_other_names_is_not_read() {
    let port = of_fund(
        "<div class='portallocation-list'><span class='name-text'>A</span><span class='ratio'>1%</span></div>",
    );
    let allocation = of_fund(&ASSET.replace("cdk-column-ratio", "cdk-column-weight"));
    let names = of_fund(&ASSET.replace("cdk-column-name", "cdk-column-title"));
    let fee = of_fund(
        "<span id='wmg.funddetailfee.text.frontEndFee-ffs'>1.5</span><span id='wmg.funddetailfee.text.managementFee-ffs'>1</span>",
    );
    for (page, html) in [
        ("port", port),
        ("allocation", allocation),
        ("allocation", names),
        ("fee", fee),
    ] {
        assert!(
            matches!(read(page, &html), Reading::NeedsBrowser(_)),
            "{page}"
        );
        assert!(
            matches!(read_by(Via::Browser, page, &html), Reading::Broken(_)),
            "{page}"
        );
    }
}

/// D13, and the plausible range of a price.
#[test]
fn prices_are_judged_by_their_date_and_value() {
    let with = |field: &str, value: &str| {
        let known = match field {
            "tnaclassDate" => "tnaclassDate.20260212",
            "bidPrice" => "bidPrice.10.1000",
            _ => "totalnetAsset.1,234,567.89",
        };
        lines(read(
            "profile",
            &of_fund(&FIELDS.replace(known, &format!("{field}.{value}"))),
        ))
    };
    for (date, day) in [
        ("2026-02-11T17:00:00Z", "2026-02-12"),
        ("2026-02-12T00:00:00Z", "2026-02-12"),
        ("20260216", "2026-02-16"),
    ] {
        let (found, rejects) = with("tnaclassDate", date);
        assert!(
            found[0].starts_with(&format!("daily {day} ")),
            "{date} {found:?}"
        );
        assert!(rejects.is_empty(), "{date} {rejects:?}");
    }
    for date in ["20260217", "2026-02-16T17:00:00Z", "12/02/26"] {
        let (found, rejects) = with("tnaclassDate", date);
        assert!(found[0].starts_with("master"), "{date} {found:?}");
        assert_eq!(rejects[0], "rejected tnaclassDate", "{date}");
    }
    for (field, value, daily) in [
        (
            "bidPrice",
            "-10.1",
            "daily 2026-02-12 12.3456 1234567.89 - -",
        ),
        (
            "bidPrice",
            "10.1%",
            "daily 2026-02-12 12.3456 1234567.89 - -",
        ),
        ("totalnetAsset", "-1", "daily 2026-02-12 12.3456 - 10.1 -"),
        (
            "totalnetAsset",
            "(5.00)",
            "daily 2026-02-12 12.3456 - 10.1 -",
        ),
    ] {
        let (found, rejects) = with(field, value);
        assert_eq!(found[0], daily, "{field} {value}");
        assert_eq!(rejects, [format!("rejected {field}")], "{field} {value}");
    }
    let midnight = r#"<script id="ng-state">{"fund-detail":{"fundCode":"K&A 7%","tnaclassDate":"2026-02-12T00:00:00Z"}}</script>"#;
    let mixed = of_fund(&format!(
        "{}{midnight}",
        FIELDS.replace("20260212", "2026-02-11T17:00:00Z")
    ));
    assert!(matches!(read("profile", &mixed), Reading::Broken(_)));
}

#[test]
fn a_change_of_either_state_makes_a_page_new() {
    let site = site();
    let hashed = |script: &str| {
        let answer = crate::site::Answer {
            url: Url::parse("https://www.wealthmagik.com/funds/A/profile").expect("a URL"),
            status: 200,
            content_type: None,
            body: of_fund(script).into_bytes().into(),
            via: Via::Http,
        };
        site.hashed_part(&page(&site, "profile"), &answer)
            .into_owned()
    };
    for id in ["serverApp-state", "ng-state"] {
        let state = |nonce: &str, value: &str| {
            hashed(&format!(
                "<script nonce='{nonce}' id='{id}'>{value}</script>"
            ))
        };
        assert_ne!(state("1", "a"), state("1", "b"), "{id}");
        assert_eq!(state("1", "a"), state("2", "a"), "{id}");
    }
}

proptest! {
    #[test]
    fn no_bytes_and_no_mutation_of_a_page_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        at in 0..FIELDS.len() + ASSET.len(),
        length in 0_usize..40,
    ) {
        let site = site();
        let mut mutated = of_fund(&format!("{FIELDS}{ASSET}")).into_bytes();
        let end = (at + length).min(mutated.len());
        mutated.splice(at..end, bytes.iter().copied());
        for page in ["list", "profile", "port", "allocation", "fee"] {
            let tasks = [task(&site, page, "K&A 7%", None)];
            for via in [Via::Http, Via::Browser] {
                let _ = read_all(&site, page, &tasks, &bytes, via);
                let _ = read_all(&site, page, &tasks, &mutated, via);
            }
        }
    }
}
