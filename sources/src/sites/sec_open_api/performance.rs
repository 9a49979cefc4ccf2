//! Parser of `factsheet/performance`: returns and volatility of all classes, from their current factsheets.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schema::columns::PerformanceFields;
use schema::observation::PerformanceRow;
use schema::{Dataset, Number, ObservationData};

use super::api_types::PerformanceFigure;
use super::page::{self, ClassKey, ListPage};
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;

/// What a record is about: `performance_type_desc`, and the column that it fills. The volatility of the benchmark fills
/// none.
const FIGURES: [(&str, Option<Figure>); 5] = [
    ("ผลตอบแทนกองทุนรวม", Some(Figure::Fund)),
    ("ผลตอบแทนตัวชี้วัด", Some(Figure::Benchmark)),
    ("ค่าเฉลี่ยในกลุ่มเดียวกัน", Some(Figure::PeerAverage)),
    ("ความผันผวนของกองทุนรวม", Some(Figure::Volatility)),
    ("ความผันผวนของตัวชี้วัด", None),
];

/// A column of `funds_performance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Fund,
    Benchmark,
    PeerAverage,
    Volatility,
}

impl Figure {
    const fn of(self, row: &mut PerformanceFields) -> &mut Option<Number> {
        match self {
            Self::Fund => &mut row.fund,
            Self::Benchmark => &mut row.benchmark,
            Self::PeerAverage => &mut row.peer_average,
            Self::Volatility => &mut row.volatility,
        }
    }
}

/// One value of one class.
struct Found {
    as_of_date: Date,
    period: String,
    figure: Figure,
    value: Number,
}

/// Parses one page. The figures of a class are one statement; those on the other pages of the list are further ones.
/// `cycle_date` decides which factsheets have ended.
pub fn read(list: ListPage<'_>, cycle_date: Date, url: &str, mut findings: Findings) -> Reading {
    let mut classes: BTreeMap<ClassKey, BTreeMap<(Date, String), PerformanceFields>> =
        BTreeMap::new();
    for (row, record) in list.rows::<PerformanceFigure<'_>>(Dataset::Performance, &mut findings) {
        match read_figure(&row, cycle_date, record, &mut findings) {
            Ok(Some((class, found))) => {
                let of_class = classes.entry(class).or_default();
                let row = of_class
                    .entry((found.as_of_date, found.period))
                    .or_default();
                *found.figure.of(row) = Some(found.value);
            }
            Ok(None) => {}
            Err((field, reason)) => {
                page::reject(&mut findings, Dataset::Performance, field, reason, record);
            }
        }
    }
    let keyed = classes
        .into_iter()
        .map(|(class, rows)| {
            let rows = rows
                .into_iter()
                .map(|((as_of_date, period), fields)| PerformanceRow {
                    as_of_date,
                    period,
                    fields,
                })
                .collect();
            page::keyed(class, None, url, ObservationData::Performance(rows))
        })
        .collect();
    list.part(findings, keyed, None)
}

/// One record. `None` if it has no value, belongs to a factsheet that has ended, or is about something that no column
/// has.
fn read_figure(
    row: &PerformanceFigure<'_>,
    cycle_date: Date,
    record: Field<'_>,
    findings: &mut Findings,
) -> Result<Option<(ClassKey, Found)>, (&'static str, String)> {
    let class = page::class_key(row.proj_id, row.fund_class_name)?;
    let ends = row.end_date.date().map_err(|why| ("end_date", why))?;
    if ends.is_some_and(|ends| ends.date() < cycle_date) {
        return Ok(None);
    }
    let kind =
        page::key_part(row.performance_type_desc).map_err(|why| ("performance_type_desc", why))?;
    let Some((_, figure)) = FIGURES.iter().find(|(name, _)| *name == kind) else {
        let reason = format!("the figure `{kind}` is not known; not used");
        findings.note(
            Dataset::Performance,
            "performance_type_desc",
            reason,
            record.raw(),
        );
        return Ok(None);
    };
    let Some(figure) = *figure else {
        return Ok(None);
    };
    let period = page::key_part(row.reference_period).map_err(|why| ("reference_period", why))?;
    let value = row
        .performance_value
        .number()
        .map_err(|why| ("performance_value", why))?;
    let Some(value) = value else {
        return Ok(None);
    };
    let stated = row.start_date.date();
    let Some(as_of_date) = findings.as_of(Dataset::Performance, "start_date", stated, record.raw())
    else {
        return Err((
            "start_date",
            "expected the date of the factsheet".to_owned(),
        ));
    };
    let found = Found {
        as_of_date,
        period,
        figure,
        value,
    };
    Ok(Some((class, found)))
}
