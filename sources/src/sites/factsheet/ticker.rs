//! The forms of a Bloomberg code on a line: `SYMBOL TB`, `SYMBOL:TB`, or either followed by ` Equity`. Whether a text of
//! such a form is a Bloomberg code is decided in [`super::codes_on_line`].

use super::line_parts::tokens;

/// The possible Bloomberg codes of a line: `SYMBOL TB`, `SYMBOL:TB`, or either followed by ` Equity`. Returns start,
/// end and, for the Thai market, the code in its stored form, `SYMBOL TB`.
pub fn tickers(line: &str) -> Vec<(usize, usize, Option<String>)> {
    let mut found = Vec::new();
    let mut before: Option<(usize, &str)> = None;
    for (start, word) in tokens(line, |c| c.is_ascii_graphic() && c != ':' && c != '|') {
        let market = word.trim_end_matches([',', ';', ')', '.']);
        let is_market = market.len() == 2 && market.bytes().all(|byte| byte.is_ascii_uppercase());
        if let Some((symbol_start, symbol)) = before
            && is_market
            && joins(&line[symbol_start + symbol.len()..start])
            && is_symbol(symbol)
        {
            let mut end = start + market.len();
            let equity = line[end..].trim_start();
            if equity
                .get(..6)
                .is_some_and(|word| word.eq_ignore_ascii_case("equity"))
            {
                end = line.len() - equity.len() + 6;
            }
            let symbol = symbol.trim_start_matches('(');
            let code = (market == "TB").then(|| format!("{symbol} TB"));
            found.push((symbol_start, end, code));
        }
        before = Some((start, word));
    }
    found
}

/// Whether the text between a symbol and its market joins them: one space, or a colon.
fn joins(between: &str) -> bool {
    between == " " || between.trim() == ":"
}

/// Whether a word can be a symbol and is not a word of a label.
fn is_symbol(word: &str) -> bool {
    let word = word.trim_start_matches('(');
    let is_label = ["code", "ticker", "(ticker)", "bloomberg", "isin", "-"]
        .iter()
        .any(|label| word.eq_ignore_ascii_case(label));
    (2..=30).contains(&word.len())
        && !is_label
        && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_thai_market_has_one_form_and_those_of_others_have_none() {
        for (line, expected) in [
            ("KFGTECH TB", vec![Some("KFGTECH TB")]),
            ("KFGTECH:TB Equity", vec![Some("KFGTECH TB")]),
            ("(KFGTECH : TB)", vec![Some("KFGTECH TB")]),
            ("QQQ:US", vec![None]),
            ("Ticker TB", vec![]),
            ("KFGTECH  TB", vec![]),
        ] {
            let found = tickers(line);
            let codes: Vec<Option<&str>> = found.iter().map(|(.., code)| code.as_deref()).collect();
            assert_eq!(codes, expected, "{line}");
        }
    }
}
