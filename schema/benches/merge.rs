//! Benchmarks of merging: one day of a fund, one statement folded over an earlier one, one row from several sources.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use schema::columns::MasterFields;
use schema::fold::{Folded, StoredObservation, fold};
use schema::merge_daily::{Dissents, Values, first_said, merge_day, stands_as_said};
use schema::merge_funds::{Statements, merge_row};
use schema::precedence::{DAYS, MASTER};
use schema::{Dataset, FundCode, Number, Observation, ObservationData, SourceName};

fn number(text: &str) -> Option<Number> {
    Some(Number::parse(text).expect("a number"))
}

fn master(source: SourceName, name: &str) -> Observation {
    Observation {
        fund_code: FundCode::parse("K-USA-A").expect("a code"),
        source,
        as_of_date: None,
        url: "https://www.example.com/funds/K-USA-A".to_owned(),
        data: ObservationData::Master(MasterFields {
            full_name_en: Some(name.to_owned()),
            full_name_th: Some(format!("กองทุนเปิด {name}")),
            amc: Some("KASIKORN ASSET MANAGEMENT".to_owned()),
            ..MasterFields::default()
        }),
    }
}

fn held(observation: &Observation) -> StoredObservation {
    match fold(None, None, observation, 1) {
        Folded::Changed(held) => held,
        other => panic!("a first statement is held: {other:?}"),
    }
}

fn merge(criterion: &mut Criterion) {
    let finnomena: Values = [number("12.3456"), None, None, number("1500000000.25")];
    let wealthmagik: Values = [
        number("12.3457"),
        number("12.3"),
        number("12.4"),
        number("1500000000.25"),
    ];
    let row = first_said(SourceName::Finnomena, finnomena);
    let mut group = criterion.benchmark_group("merge");
    group.bench_function("a day that stands as said", |bencher| {
        bencher.iter(|| {
            stands_as_said(
                black_box(&row),
                SourceName::Finnomena,
                black_box(&finnomena),
            )
        });
    });
    group.bench_function("a day that two sources say differently", |bencher| {
        let said = [(SourceName::Wealthmagik, wealthmagik)];
        bencher.iter(|| merge_day(&DAYS, black_box(&row), &Dissents::new(), black_box(&said)));
    });

    let first = master(SourceName::Finnomena, "K US EQUITY");
    let renamed = master(SourceName::Finnomena, "K US EQUITY FUND");
    let before = held(&first);
    group.bench_function("fold of what is known", |bencher| {
        bencher.iter(|| fold(black_box(Some(&before)), None, black_box(&first), 2));
    });
    group.bench_function("fold of what has changed", |bencher| {
        bencher.iter(|| fold(black_box(Some(&before)), None, black_box(&renamed), 2));
    });
    let other = master(SourceName::Wealthmagik, "K USA Equity");
    let statements: Statements = BTreeMap::from([
        ((SourceName::Finnomena, Dataset::Master), before.clone()),
        ((SourceName::Wealthmagik, Dataset::Master), held(&other)),
    ]);
    group.bench_function("a row of two sources", |bencher| {
        bencher.iter(|| merge_row(&MASTER, black_box(&statements), &[]));
    });
    group.finish();
}

criterion_group!(benches, merge);
criterion_main!(benches);
