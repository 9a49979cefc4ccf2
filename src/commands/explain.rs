//! `master_runner explain CODE`: shows for each field what each source reported and when, which value was used and why,
//! and what was rejected.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use schema::FundCode;
use schema::precedence::{Precedence, UNIVERSE};
use store::{
    DayExplanation, Disagreement, Explanation, FieldExplanation, Freshness, FundRhythm, NameLink,
    Reader, RejectedRecord, Statement, StoreError,
};

use crate::runner_settings::RunnerSettings;
use crate::stop_signals::StopSignals;
use crate::warehouse::to_remerge;

use super::{CommandError, ProgramEnd, read_warehouse, say, shown_time, unknown_code};

/// Maximum number of disagreements shown.
const DISAGREEMENTS_SHOWN: usize = 40;
/// Maximum number of characters of a value on one line.
const VALUE_CHARS: usize = 80;

/// Everything that `explain` shows of a fund.
#[derive(Debug, Clone)]
struct FundStory {
    explanation: Explanation,
    disagreements: Vec<Disagreement>,
    freshness: Vec<Freshness>,
    rhythm: Option<FundRhythm>,
    /// The tables and columns whose rank was changed since the rows were merged.
    to_remerge: Vec<String>,
}

enum Told {
    Story(Box<FundStory>),
    Unknown(Vec<String>),
}

/// Prints where the values of a fund come from.
///
/// # Errors
/// The database is unavailable or contains no warehouse, or no source ever reported the code.
pub async fn explain(
    settings: &RunnerSettings,
    code: &FundCode,
    stop: &StopSignals,
) -> Result<ProgramEnd, CommandError> {
    match read_warehouse(settings, stop, async |reader| {
        read(reader, code, &settings.precedence).await
    })
    .await?
    {
        Told::Story(story) => {
            say(&shown(&story, &settings.schedule.timezone));
            Ok(ProgramEnd::Done)
        }
        Told::Unknown(codes) => Err(unknown_code(
            code.as_str(),
            codes.iter().map(String::as_str),
        )),
    }
}

async fn read(
    reader: &Reader,
    code: &FundCode,
    precedence: &Precedence,
) -> Result<Told, StoreError> {
    let Some(explanation) = reader.explain(code, precedence).await? else {
        return Ok(Told::Unknown(reader.fund_codes().await?));
    };
    Ok(Told::Story(Box::new(FundStory {
        explanation,
        disagreements: reader.disagreements(code, DISAGREEMENTS_SHOWN).await?,
        freshness: reader.fund_freshness(code).await?,
        rhythm: reader.fund_rhythm(code).await?,
        to_remerge: reader.ranks_to_remerge(precedence).await?,
    })))
}

fn shown(story: &FundStory, zone: &TimeZone) -> String {
    let FundStory {
        explanation,
        disagreements,
        freshness,
        rhythm,
        to_remerge: places,
    } = story;
    let mut text = String::new();
    let standing = match (&explanation.fund_status, explanation.in_universe) {
        (Some(status), _) => status.clone(),
        (None, true) => "known, without a row yet".to_owned(),
        (None, false) => format!("no rows: the list of {UNIVERSE} never showed it as active"),
    };
    // Writing to a String cannot fail: its results are ignored from here on.
    let _ = writeln!(text, "{}: {standing}", explanation.fund_code);
    if let Some(rhythm) = rhythm {
        rhythm_line(&mut text, rhythm);
    }
    names_block(&mut text, &explanation.names);
    if !places.is_empty() {
        let _ = writeln!(text, "{}", to_remerge(places));
    }
    let mut table = "";
    for field in &explanation.fields {
        if field.table != table {
            table = field.table;
            let _ = writeln!(text, "\n{table}");
        }
        field_block(&mut text, field, zone);
    }
    if let Some(day) = &explanation.newest_day {
        day_block(&mut text, day);
    }
    statements_block(&mut text, &explanation.statements, zone);
    disagreements_block(&mut text, disagreements);
    rejected_block(&mut text, &explanation.rejected, zone);
    freshness_block(&mut text, freshness, zone);
    text
}

fn rhythm_line(text: &mut String, rhythm: &FundRhythm) {
    let Some(newest) = rhythm.newest_nav else {
        let _ = writeln!(text, "newest NAV: none");
        return;
    };
    let usual = match (&rhythm.rhythm, rhythm.gap_days) {
        (Some(rhythm), Some(days)) => format!("{rhythm}, usually {days} days apart"),
        _ => "too few NAVs to tell a rhythm".to_owned(),
    };
    let _ = writeln!(text, "newest NAV: {newest} ({usual})");
}

fn names_block(text: &mut String, names: &[NameLink]) {
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nnames of this fund, from the oldest to the newest");
    for link in names {
        let NameLink {
            old,
            new,
            rule,
            evidence,
            ..
        } = link;
        let certainty = if link.is_certain {
            "became"
        } else {
            "may have become"
        };
        let _ = writeln!(text, "  {old} {certainty} {new} ({rule})\n      {evidence}");
    }
}

fn field_block(text: &mut String, field: &FieldExplanation, zone: &TimeZone) {
    let _ = writeln!(
        text,
        "  {} = {}",
        field.column,
        value(field.stands.as_deref())
    );
    for said in &field.said {
        let as_of = said
            .as_of_date
            .map(|date| format!(" as of {date}"))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "    {} {} ({}{as_of}, since {}): {}: {}",
            if said.wins { "->" } else { "  " },
            said.source,
            said.dataset,
            shown_time(said.said_at, zone),
            value(Some(&said.value)),
            said.why,
        );
    }
}

fn day_block(text: &mut String, day: &DayExplanation) {
    let [nav, bid, offer, aum, source] = day.stands.each_ref().map(|value| value.as_deref());
    let _ = writeln!(
        text,
        "\nfunds_daily, newest day {}: nav {}, bid {}, offer {}, aum {} (row by {})",
        day.nav_date,
        value(nav),
        value(bid),
        value(offer),
        value(aum),
        value(source)
    );
    for (source, field, says) in &day.dissents {
        let _ = writeln!(text, "     {source} says {field} {}", value(Some(says)));
    }
}

fn statements_block(text: &mut String, statements: &[Statement], zone: &TimeZone) {
    if statements.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nportfolios, codes, lists and links");
    for statement in statements {
        let as_of = statement
            .as_of_date
            .map(|date| format!(" as of {date}"))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {} {}{as_of}, since {}: {}\n      {}",
            statement.source,
            statement.dataset,
            shown_time(statement.said_at, zone),
            value(Some(&statement.holds)),
            statement.url
        );
    }
}

fn disagreements_block(text: &mut String, disagreements: &[Disagreement]) {
    if disagreements.is_empty() {
        let _ = writeln!(text, "\nNo source differs from the stored values.");
        return;
    }
    let _ = writeln!(
        text,
        "\nvalues that differ from the stored ones (the newest days first{})",
        if disagreements.len() < DISAGREEMENTS_SHOWN {
            ""
        } else {
            "; there may be more in runner.conflict"
        }
    );
    for found in disagreements {
        let day = if found.key.is_empty() {
            String::new()
        } else {
            format!(" {}", found.key)
        };
        let _ = writeln!(
            text,
            "  {}{day} {}: {} reports {}, {} is stored",
            found.table,
            found.field,
            found.source,
            value(Some(&found.says)),
            value(found.stands.as_deref())
        );
    }
}

fn rejected_block(text: &mut String, rejected: &[RejectedRecord], zone: &TimeZone) {
    if rejected.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nrejected or noted, the newest first");
    for record in rejected {
        let _ = writeln!(
            text,
            "  {} {} {}/{} {}: {}; found `{}`",
            shown_time(record.rejected_at, zone),
            record.severity,
            record.source,
            record.page,
            record.field,
            record.reason,
            value(Some(&record.sample))
        );
    }
}

fn freshness_block(text: &mut String, freshness: &[Freshness], zone: &TimeZone) {
    if freshness.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nlast answers");
    for page in freshness {
        let at = page
            .last_answer_at
            .map_or_else(|| "never".to_owned(), |at| shown_time(at, zone));
        let failure = page
            .failure
            .as_deref()
            .map(|failure| format!(": {}", value(Some(failure))))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:<30}{at:<18}{}{failure}",
            format!("{}/{}", page.source, page.page),
            page.outcome.as_deref().unwrap_or("open"),
        );
    }
}

/// A value on one line, shortened; `-` for none.
fn value(text: Option<&str>) -> String {
    let Some(text) = text else {
        return "-".to_owned();
    };
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(VALUE_CHARS)
        .collect();
    if text.chars().count() > VALUE_CHARS {
        line.push('…');
    }
    line
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
