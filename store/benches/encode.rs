//! Benchmark of encoding rows of the daily series for binary COPY. It encodes the values of each row in PostgreSQL's
//! format. The frame around them (field count and lengths) is not measured.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::civil::{Date, date};
use schema::Number;
use tokio_postgres::types::{ToSql, Type};

/// Rows of a batch.
const ROWS: u64 = 1_000;

fn row(out: &mut BytesMut, fund_code: &str, nav_date: Date, nav: Number, aum: Number) {
    let (nav, aum) = (nav.decimal(), aum.decimal());
    let columns: [(&(dyn ToSql + Sync), Type); 10] = [
        (&fund_code, Type::TEXT),
        (&nav_date, Type::DATE),
        (&nav, Type::NUMERIC),
        (&aum, Type::NUMERIC),
        (&"finnomena", Type::TEXT),
        (&1_i16, Type::INT2),
        (&0_i16, Type::INT2),
        (&0_i16, Type::INT2),
        (&1_i16, Type::INT2),
        (&1_i64, Type::INT8),
    ];
    for (value, kind) in columns {
        value.to_sql_checked(&kind, out).expect("it is encoded");
    }
}

fn encode(criterion: &mut Criterion) {
    let nav = Number::parse("12.3456").expect("a number");
    let aum = Number::parse("1500000000.25").expect("a number");
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("rows of the daily series", |bencher| {
        let mut out = BytesMut::with_capacity(1 << 20);
        bencher.iter(|| {
            out.clear();
            for _ in 0..ROWS {
                row(&mut out, black_box("K-USA-A"), date(2026, 10, 14), nav, aum);
            }
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
