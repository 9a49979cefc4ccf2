//! The fund's own codes in the text of factsheets.

use jiff::civil::date;
use proptest::prelude::*;
use schema::SourceName;

use super::super::isin;
use super::*;
use crate::site::{ReadContext, Reading};

fn codes(text: &str, fund: &str) -> (Vec<String>, Vec<String>) {
    let fund = FundCode::parse(fund).expect("a code");
    let context = ReadContext {
        cycle_date: date(2026, 2, 16),
    };
    let mut findings = Findings::of_fund(
        SourceName::Finnomena,
        fund.clone(),
        "u".to_owned(),
        &context,
    );
    let codes = on_factsheet(text, &fund, &mut findings)
        .into_iter()
        .map(|code| code.code)
        .collect();
    match findings.said() {
        Reading::Observed { rejects, .. } => (
            codes,
            rejects.into_iter().map(|reject| reject.field).collect(),
        ),
        _ => (codes, Vec::new()),
    }
}

// Check digits computed by hand from ISO 6166.
const A: &str = "TH1234567895";
const B: &str = "TH0000000008";

#[test]
fn a_single_isin_and_a_labelled_bloomberg_code_are_taken() {
    assert!(isin::is_valid(A) && isin::is_valid(B));
    let text = format!("กองทุนเปิด\n ISIN Code : {A}      Bloomberg Code : KFGTECH TB    x\n");
    assert_eq!(codes(&text, "KFGTECH").0, [A, "KFGTECH TB"]);
    assert_eq!(
        codes("Bloomberg Code : KFGTECH TB", "KFGTECH").0,
        ["KFGTECH TB"]
    );
    assert_eq!(
        codes("BLOOMBERG CODE  KFGTECH TB Equity", "KFGTECH").0,
        ["KFGTECH TB"]
    );
    assert_eq!(codes("Bloomberg Code : -", "KFGTECH").0, [""; 0]);
}

#[test]
fn of_several_isins_only_the_one_on_the_funds_own_line_counts() {
    let text = format!("ชนิด SCBEUROPE-SSF   {A}\nชนิด SCBEUROPE-SSFE  {B}\n");
    assert_eq!(codes(&text, "SCBEUROPE-SSF").0, [A]);
    assert_eq!(codes(&text, "SCBEUROPE-SSFE").0, [B]);
    assert_eq!(codes(&text, "SSF"), (vec![], vec!["ISIN".to_owned()]));
    let text = format!("K-USA-A {A}\nK-USA-A(A) {B}\nTERF #1  {B}\n");
    assert_eq!(codes(&text, "K-USA-A").0, [A]);
    assert_eq!(codes(&text, "K-USA-A(A)").0, [B]);
    assert_eq!(codes(&text, "TERF").0, [""; 0]);
    assert_eq!(codes(&text, "TERF #1").0, [B]);
}

#[test]
fn a_wrong_check_digit_is_ignored_and_noted() {
    assert_eq!(
        codes("ISIN TH1234567890", "A"),
        (vec![], vec!["ISIN".to_owned()])
    );
    assert_eq!(codes(&format!("ISIN TH1234567890\n{A}"), "A").0, [A]);
}

#[test]
fn of_codes_that_share_characters_one_counts() {
    for (text, expected) in [
        ("Bloomberg Cnullode : KH TB    x", vec!["KH TB"]),
        ("Bloomberg : AA:BB TB", vec!["BB TB"]),
        ("Bloomberg : AA BB CC TB", vec!["CC TB"]),
        ("Bloomberg : KFGTECH TB US", vec!["KFGTECH TB"]),
    ] {
        assert_eq!(codes(text, "A").0, expected, "{text}");
    }
}

#[test]
fn a_label_that_names_a_class_gives_that_class_its_code() {
    let both = format!("ISIN code : {A}\nISIN code (class D) : {B}\n");
    for (fund, code) in [
        ("KKP EQ", A),
        ("KKP EQ-D", B),
        ("KKP EQ(D)", B),
        ("KKP EQ D", B),
        ("K-USA-A(D)", B),
        // A name that merely ends in the letter is not the class.
        ("KFGOLD", A),
        ("FUND", A),
        ("KKP EQ-A", A),
        ("KKP EQ-SSFD", A),
    ] {
        assert_eq!(
            codes(&both, fund),
            (vec![code.to_owned()], vec![]),
            "{fund}"
        );
    }
    // Without a separator the sheet must name the project.
    assert_eq!(codes(&format!("Fund : KKPEQ\n{both}"), "KKPEQD").0, [B]);
    for text in [
        format!("ISIN code : {A}   ISIN code (Class D) : {B}"),
        format!("ISIN : {A}\nISIN class D : {B}"),
        format!("ISIN : {A}\nISIN : {B} (class D)"),
        format!("ISIN code (D) : {B}\nISIN code : {A}"),
        format!("ISIN : {A}\nClass D   ISIN : {B}"),
        format!("รหัส ISIN : {A}\nรหัส ISIN (ชนิด D) : {B}"),
        format!("ISIN : {A}\nISIN (class KKP EQ-D) {B}").replace("KKP EQ-D", "KKPEQ-D"),
    ] {
        assert_eq!(codes(&text, "KKPEQ").0, [A], "{text}");
        assert_eq!(codes(&text, "KKPEQ-D").0, [B], "{text}");
    }
    let classes = format!("ISIN (class A) : {A}\nISIN (class SSF) : {B}\n");
    assert_eq!(codes(&classes, "X-A").0, [A]);
    assert_eq!(codes(&classes, "X-SSF").0, [B]);
    for other in ["X-SSFE", "X-D", "X"] {
        assert_eq!(
            codes(&classes, other),
            (vec![], vec!["ISIN".to_owned()]),
            "{other}"
        );
    }
}

#[test]
fn a_bloomberg_code_is_stored_in_one_form() {
    for text in [
        "Bloomberg Ticker : KKUSAEA:TB",
        "Bloomberg Ticker KKUSAEA:TB",
        "Bloomberg Code: KKUSAEA TB Equity",
        "BLOOMBERG CODE  KKUSAEA:TB EQUITY",
        "Bloomberg : KKUSAEA : TB",
        "Bloomberg (Ticker)  KKUSAEA TB",
        "Bloomberg Ticker KKUSAEA:TB | Master Fund's Bloomberg Ticker MORAMFI:LX",
        "Master Fund's Bloomberg Ticker QQQ:US | Bloomberg Ticker KKUSAEA:TB",
        "Bloomberg Code   Risk\nKKUSAEA TB      6\n",
        "Bloomberg Code   Risk\nKKUSAEA:TB Equity      6\n",
    ] {
        assert_eq!(codes(text, "K-USA-A(A)").0, ["KKUSAEA TB"], "{text}");
    }
    let classes = "Bloomberg : KFGTECH TB\nBloomberg (class D) : KFGTECHD:TB";
    assert_eq!(codes(classes, "KFGTECH").0, ["KFGTECH TB"]);
    assert_eq!(codes(classes, "KFGTECH-D").0, ["KFGTECHD TB"]);
    for text in [
        "Bloomberg Ticker : QQQ:US",
        "Bloomberg Ticker : -\nPTT TB   5 %",
        "Bloomberg Ticker : QQQ US\nPTT TB   5 %",
        "Bloomberg Code : TB",
        "Holdings PTT TB",
    ] {
        assert_eq!(codes(text, "KFGTECH").0, [""; 0], "{text}");
    }
}

#[test]
fn a_master_funds_codes_are_never_the_feeders() {
    for text in [
        "Master Fund's Bloomberg Ticker MASTER:TB".to_owned(),
        "Bloomberg code of the master fund : MASTER TB".to_owned(),
        format!("กองทุนหลัก ISIN : {B}"),
        format!("Master Fund\nISIN : {B}\nBloomberg : MASTER TB\n"),
        format!("ข้อมูลกองทุนหลัก\nISIN : {B}\n"),
    ] {
        assert_eq!(codes(&text, "KFGTECH").0, [""; 0], "{text}");
        let own = format!("ISIN : {A}\nBloomberg : KFGTECH TB\n\n{text}\n\n");
        assert_eq!(codes(&own, "KFGTECH").0, [A, "KFGTECH TB"], "{own}");
    }
}

#[test]
fn a_lone_foreign_isin_is_noted_and_not_taken() {
    for text in [
        "ISIN : US0378331005",
        "ISIN code : GB0002634946\nBloomberg : -",
        "US0378331005\nAU0000XVGZA3",
    ] {
        let (taken, notes) = codes(text, "KFGTECH");
        assert_eq!(taken, [""; 0], "{text}");
        assert!(
            notes.iter().all(|field| field == "ISIN") && !notes.is_empty(),
            "{text}"
        );
    }
    assert_eq!(
        codes(&format!("ISIN : US0378331005\nISIN : {A}"), "X"),
        (vec![A.to_owned()], vec![])
    );
}

#[test]
fn the_master_funds_isin_is_not_the_feeders() {
    assert_eq!(
        codes(&format!("กองทุนหลัก ISIN : US0378331005\nISIN: {A}"), "A").0,
        [A]
    );
    assert_eq!(codes("Master fund ISIN : US0378331005", "A").0, [""; 0]);
    assert_eq!(
        codes(&format!("ISIN : US0378331005\nISIN: {A}"), "A").0,
        [A]
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}|(Bloomberg|TH1234567895|KFGTECH|TB|[ :()#ก\\n]){0,30}") {
        let _ = codes(&text, "KFGTECH");
    }
}
