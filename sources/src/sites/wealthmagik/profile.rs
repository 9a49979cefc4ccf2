//! Parser of `/funds/<code>/profile`: bid, offer, NAV and AUM of the date on the page, master data, and the link to the
//! factsheet. The state embedded in the page takes precedence over the page's elements; a difference is noted.

use jiff::civil::Date;
use schema::columns::{
    FactsheetLink, MasterFields, PAYS_DIVIDENDS, PAYS_NO_DIVIDENDS, StatisticsFields,
};
use schema::observation::DailyPoint;
use schema::{Dataset, Number, ObservationData};
use url::Url;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, text};
use crate::site::{Answer, Reading, Via};
use crate::sites::MAX_LINK_CHARS;
use crate::sites::findings::Findings;
use crate::sites::finnomena::fund::leading_risk;
use crate::sites::wealthmagik::api_types::{self, FundDetail};
use crate::sites::wealthmagik::contract::{PROFILE_REQUIRED, PROFILE_WITHOUT_PRICES};
use crate::sites::wealthmagik::page::{Names, incomplete, names, unrendered};
use crate::text::number::{self, Quantity};
use crate::text::{missing, name, thai_date};

/// The prefix of an id that contains a value, before its field.
const TEXT_ID: &str = "wmg.funddetailinfo.text.";
/// The prefix of the id of the factsheet's button, before the URL.
const FACTSHEET_ID: &str = "wmg.funddetailinfo.button.factSheetPath.";

/// The maximum number of elements with the class `nav` that are searched for a number: menus have some dozens.
const MAX_NAV_ELEMENTS: usize = 200;

/// The field of the AUM.
const AUM: &str = "totalnetAsset";

/// Parses the page.
pub fn read(answer: &Answer, mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(&answer.body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let states = api_types::embedded_states(&page);
    let detail = match api_types::fund_detail_of(&states) {
        Ok(detail) => detail,
        Err(reason) => {
            let reason = format!("{reason}; the page's elements were read");
            findings.note(Dataset::Daily, api_types::STATE_IDS[0], reason, "");
            None
        }
    };
    let Some(asked) = findings.fund_code().cloned() else {
        return Reading::Broken(breach("key", "a fund code", "none"));
    };
    let named = match names(&page, detail.as_ref(), &asked) {
        Ok(named) => named,
        Err(breach) => return Reading::Broken(breach),
    };
    if named == Names::Nobody {
        return unrendered(&page, breach(".fundName h1", "the fund's code", "none"));
    }
    // An id that ends in a dot is still waiting for a script to write its value.
    let has_fields = page
        .ids()
        .any(|(id, _)| id.starts_with(TEXT_ID) && !id.ends_with('.'));
    let shows_nothing = !has_fields && detail.is_none();
    let profile = Profile {
        page: &page,
        detail,
    };
    let lacking = profile.lacking(answer.via);
    if shows_nothing || !lacking.is_empty() {
        let expected = format!("{}, in the state or as ids", PROFILE_REQUIRED.join(", "));
        let found = if lacking.is_empty() {
            "no value".to_owned()
        } else {
            format!("no {}", lacking.join(", no "))
        };
        let what = breach("fields", &expected, &found);
        return if shows_nothing {
            unrendered(&page, what)
        } else {
            incomplete(&page, answer.via, what)
        };
    }
    profile.read_daily(&mut findings);
    profile.read_master(&mut findings);
    profile.read_statistics(&mut findings);
    profile.read_factsheet_link(answer, &mut findings);
    findings.into_reading_unless_silent(breach(
        "profile",
        "at least one value about the fund",
        "none",
    ))
}

struct Profile<'page> {
    page: &'page HtmlPage,
    detail: Option<FundDetail<'page>>,
}

impl Profile<'_> {
    /// The required fields that the page has neither in its state nor as an id. A script writes the values into the
    /// ids, so over HTTP an id that ends in a dot will still be filled. In a browser the scripts have run.
    fn lacking(&self, via: Via) -> Vec<&'static str> {
        let is_lacking = |field: &&'static str| {
            let in_state = self
                .detail
                .is_some_and(|detail| detail.required(field).is_present());
            let in_id = self.page.rest_of_id(&format!("{TEXT_ID}{field}."));
            !in_state && in_id.is_none_or(|rest| via == Via::Http && rest.is_empty())
        };
        let prices: Vec<&str> = PROFILE_REQUIRED.into_iter().filter(is_lacking).collect();
        if prices.len() == PROFILE_REQUIRED.len() && self.says_no_nav() {
            // A fund without a price so far: the page has its master data and a missing-value word as its NAV.
            return PROFILE_WITHOUT_PRICES
                .into_iter()
                .filter(is_lacking)
                .collect();
        }
        prices
    }

    /// Whether the page shows a missing-value word as its NAV.
    fn says_no_nav(&self) -> bool {
        let shown: Vec<String> = self
            .page
            .all(".nav")
            .iter()
            .take(MAX_NAV_ELEMENTS)
            .map(text)
            .collect();
        let is_word = |text: &String| !text.is_empty() && missing::is_missing(text);
        shown.iter().any(is_word) && self.shown_nav().is_none()
    }

    /// The value in the id of a field; `None` for a missing-value word.
    fn in_id(&self, field: &str) -> Option<String> {
        self.page
            .rest_of_id(&format!("{TEXT_ID}{field}."))
            .filter(|value| !missing::is_missing(value))
    }

    /// Whether the page contains a price or an AUM, which needs a date.
    fn says_a_price(&self) -> bool {
        let stated = self.detail.is_some_and(|detail| {
            [detail.nav, detail.bid_price, detail.offer_price]
                .iter()
                .any(|field| field.is_present() && !field.is_null())
        });
        stated
            || ["bidPrice", "offerPrice", AUM]
                .iter()
                .any(|field| self.in_id(field).is_some())
    }

    fn read_daily(&self, findings: &mut Findings) {
        let Some(nav_date) = self.date(findings) else {
            if self.says_a_price() {
                let reason = "the page gives prices but no date for them; not used";
                findings.reject(Dataset::Daily, "tnaclassDate", reason, "");
            }
            return;
        };
        let stated = |field: fn(&FundDetail<'_>) -> Result<Option<Quantity>, String>| {
            self.detail.as_ref().map_or(Ok(None), field)
        };
        let mut price =
            |field: &str, in_state: Result<Option<Quantity>, String>, in_page: Option<String>| {
                // A price of 0 is missing; an AUM of 0 is a value.
                let is_value = |value: &Number| field == AUM || !value.is_zero();
                let stated = findings
                    .money(Dataset::Daily, field, in_state, field)
                    .filter(is_value);
                let shown = in_page.and_then(|text| {
                    let read = number::read(&text).map_err(|error| error.to_string());
                    findings
                        .money(Dataset::Daily, field, read, &text)
                        .filter(is_value)
                });
                if let (Some(stated), Some(shown)) = (stated, shown)
                    && stated != shown
                {
                    let reason = format!(
                        "the embedded state says {stated}, the page {shown}: the state is used"
                    );
                    findings.note(Dataset::Daily, field, reason, "");
                }
                stated.or(shown)
            };
        let point = DailyPoint {
            nav_date,
            nav: price(
                "NAV",
                stated(|detail| detail.nav.quantity()),
                self.shown_nav(),
            ),
            bid: price(
                "bidPrice",
                stated(|detail| detail.bid_price.quantity()),
                self.in_id("bidPrice"),
            ),
            offer: price(
                "offerPrice",
                stated(|detail| detail.offer_price.quantity()),
                self.in_id("offerPrice"),
            ),
            aum: price(AUM, Ok(None), self.in_id(AUM)),
        };
        if [point.nav, point.bid, point.offer, point.aum]
            .iter()
            .any(Option::is_some)
        {
            findings.say(None, ObservationData::Daily(vec![point]));
        }
    }

    /// The date of the prices on the page.
    fn date(&self, findings: &mut Findings) -> Option<Date> {
        let field = "tnaclassDate";
        let in_state = self.detail.map(|detail| detail.tnaclass_date);
        let stated = in_state
            .and_then(|date| findings.nav_day(Dataset::Daily, field, date.date(), date.raw()));
        let shown = self.in_id(field).and_then(|text| {
            let read = thai_date::read(&text).map_err(|error| error.to_string());
            findings.nav_day(Dataset::Daily, field, read, &text)
        });
        if let (Some(stated), Some(shown)) = (stated, shown)
            && stated != shown
        {
            let reason =
                format!("the embedded state says {stated}, the page {shown}: the state is used");
            findings.note(Dataset::Daily, field, reason, "");
        }
        stated.or(shown)
    }

    /// The text of `.nav` that is a number: menus have that class, too.
    fn shown_nav(&self) -> Option<String> {
        self.page
            .all(".nav")
            .iter()
            .take(MAX_NAV_ELEMENTS)
            .map(text)
            .find(|text| number::read(text).is_ok_and(|quantity| quantity.is_some()))
    }

    fn read_master(&self, findings: &mut Findings) {
        let full_name_th = self
            .page
            .all(".fundName span.categoryTH")
            .iter()
            .map(text)
            .find(|text| !missing::is_missing(text) && text.chars().count() <= name::MAX_CHARS);
        let risk = self.in_id("riskSpectrum");
        let risk_level = risk.as_deref().and_then(leading_risk);
        if let (Some(risk), None) = (&risk, risk_level) {
            findings.reject(
                Dataset::Master,
                "riskSpectrum",
                "expected a text that begins with 1 to 8",
                risk,
            );
        }
        let dividend = self.in_id("isDividend");
        let inception_date = self
            .in_id("inceptionDate")
            .and_then(|text| findings.inception("inceptionDate", thai_date::read(&text), &text));
        let master = MasterFields {
            full_name_th,
            category: self
                .in_id("aimcCategories")
                .filter(|text| text.chars().count() <= name::MAX_CHARS),
            risk_level,
            is_dividend: match dividend.as_deref() {
                Some("Y" | "y") => Some(PAYS_DIVIDENDS.to_owned()),
                Some("N" | "n") => Some(PAYS_NO_DIVIDENDS.to_owned()),
                _ => None,
            },
            inception_date,
            ..MasterFields::default()
        };
        if master != MasterFields::default() {
            findings.say(None, ObservationData::Master(master));
        }
    }

    /// Statistics that are kept only as observations for the command `explain`. They never fill `funds_statistics`,
    /// because the sites define these numbers differently.
    fn read_statistics(&self, findings: &mut Findings) {
        let mut statistics = StatisticsFields::default();
        for group in self.page.all("div.groupDetail") {
            let labels = all_in(&group, ".label");
            let values = all_in(&group, ".value span");
            for (label, value) in labels.iter().zip(&values) {
                let place = match text(label)
                    .trim_end_matches(':')
                    .trim()
                    .to_lowercase()
                    .as_str()
                {
                    "fx hedging" => &mut statistics.fx_hedging,
                    "turnover ratio" => &mut statistics.turnover_ratio,
                    _ => continue,
                };
                let shown = text(value);
                let read =
                    number::read(&shown).map(|quantity| quantity.map(|quantity| quantity.value));
                match read {
                    Ok(value) => *place = place.or(value),
                    // No column depends on this value: a note, not a reject.
                    Err(reason) => {
                        findings.note(
                            Dataset::Statistics,
                            "groupDetail",
                            reason.to_string(),
                            &shown,
                        );
                    }
                }
            }
        }
        if statistics != StatisticsFields::default() {
            findings.say(None, ObservationData::Statistics(statistics));
        }
    }

    fn read_factsheet_link(&self, answer: &Answer, findings: &mut Findings) {
        let Some(link) = self
            .page
            .rest_of_id(FACTSHEET_ID)
            .filter(|link| !missing::is_missing(link))
        else {
            return;
        };
        let absolute = match Url::parse(&link) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(link.clone()),
            Ok(_) => None,
            Err(_) => answer.url.join(&link).ok().map(String::from),
        };
        match absolute.filter(|link| link.chars().count() <= MAX_LINK_CHARS) {
            Some(factsheet_url) => {
                let link = FactsheetLink {
                    factsheet_url: Some(factsheet_url),
                };
                findings.say(None, ObservationData::FactsheetLink(link));
            }
            None => findings.reject(
                Dataset::FactsheetLink,
                "factSheetPath",
                format!("expected an http or https URL of at most {MAX_LINK_CHARS} characters"),
                &link,
            ),
        }
    }
}
