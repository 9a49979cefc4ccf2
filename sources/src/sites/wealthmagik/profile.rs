//! `/funds/<code>/profile`: bid, offer, NAV and AUM of the date the page names, what the fund is, where its factsheet lies.
//! The state embedded in the page speaks before the page's elements; a disagreement is noted.

use jiff::civil::Date;
use schema::columns::{FactsheetLink, MasterFields, StatisticsFields};
use schema::observation::DailyPoint;
use schema::{Dataset, Number, Said};
use url::Url;

use crate::payload::breach;
use crate::payload::html::{HtmlPage, all_in, text};
use crate::site::{Answer, Reading, Via};
use crate::sites::MAX_LINK_CHARS;
use crate::sites::findings::Findings;
use crate::sites::finnomena::fund::leading_risk;
use crate::sites::wealthmagik::contract::{PROFILE_REQUIRED, PROFILE_WITHOUT_PRICES};
use crate::sites::wealthmagik::page::{Names, incomplete, names, unrendered};
use crate::sites::wealthmagik::wire::{self, FundDetail};
use crate::text::number::{self, Quantity};
use crate::text::{missing, name, thai_date};

/// What stands before the field in an id that carries a value.
const TEXT_ID: &str = "wmg.funddetailinfo.text.";
/// What stands before the URL in the id of the factsheet's button.
const FACTSHEET_ID: &str = "wmg.funddetailinfo.button.factSheetPath.";

/// Most elements with the class `nav` that are looked at for a number: menus have some dozens.
const MAX_NAV_ELEMENTS: usize = 200;

/// The field of the assets under management.
const AUM: &str = "totalnetAsset";

/// Reads the page.
pub fn read(answer: &Answer, mut findings: Findings) -> Reading {
    let page = match HtmlPage::parse(&answer.body) {
        Ok(page) => page,
        Err(breach) => return Reading::Broken(breach),
    };
    let states = wire::embedded_states(&page);
    let detail = match wire::fund_detail_of(&states) {
        Ok(detail) => detail,
        Err(reason) => {
            let reason = format!("{reason}; the page's elements were read");
            findings.note(Dataset::Daily, wire::STATE_IDS[0], reason, "");
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
    // An id whose value a script is still to write ends in its dot.
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
    findings.said_unless_silent(breach(
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
    /// ids, so over HTTP an id that ends in its dot is still to be filled; a browser has run the scripts.
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
            // A fund that has no price yet: the page describes it and shows a missing-value word for its NAV.
            return PROFILE_WITHOUT_PRICES
                .into_iter()
                .filter(is_lacking)
                .collect();
        }
        prices
    }

    /// Whether the page shows a missing-value word in the place of its NAV.
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

    /// The value in the id of a field; a missing-value word is not said.
    fn in_id(&self, field: &str) -> Option<String> {
        self.page
            .rest_of_id(&format!("{TEXT_ID}{field}."))
            .filter(|value| !missing::is_missing(value))
    }

    /// Whether the page says any number that would need a date.
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
                let reason = "the page gives prices but no date for them: not taken";
                findings.reject(Dataset::Daily, "tnaclassDate", reason, "");
            }
            return;
        };
        let stated = |field: fn(&FundDetail<'_>) -> Result<Option<Quantity>, String>| {
            self.detail.as_ref().map_or(Ok(None), field)
        };
        let mut price =
            |field: &str, in_state: Result<Option<Quantity>, String>, in_page: Option<String>| {
                // A price of 0 is missing; assets of 0 are a value.
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
                        "the embedded state says {stated}, the page {shown}: the state was taken"
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
            findings.say(None, Said::Daily(vec![point]));
        }
    }

    /// The date of the prices, as the page itself names it.
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
                format!("the embedded state says {stated}, the page {shown}: the state was taken");
            findings.note(Dataset::Daily, field, reason, "");
        }
        stated.or(shown)
    }

    /// The text of `.nav` that is a number: menus have that class too.
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
                Some("Y" | "y") => Some("จ่าย".to_owned()),
                Some("N" | "n") => Some("ไม่จ่าย".to_owned()),
                _ => None,
            },
            inception_date,
            ..MasterFields::default()
        };
        if master != MasterFields::default() {
            findings.say(None, Said::Master(master));
        }
    }

    /// Kept to be explained, never for `funds_statistics`: the sites define these numbers differently.
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
                    // No column depends on it: worth knowing, not a loss.
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
            findings.say(None, Said::Statistics(statistics));
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
                findings.say(None, Said::FactsheetLink(link));
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
