//! The fund tables have exactly the columns that the records declare.

use schema::columns::{
    DividendFields, FeeFields, Kind, MasterFields, PerformanceFields, Record, StatisticsFields,
};

use crate::world::World;

async fn columns(world: &World, table: &str) -> Vec<String> {
    world
        .text(&format!(
            "SELECT column_name || ' ' || data_type FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        ))
        .await
}

fn declared<R: Record>() -> Vec<String> {
    let sql = |kind| match kind {
        Kind::Text => "text",
        Kind::Number => "numeric",
        Kind::Int => "integer",
        Kind::Date => "date",
        Kind::Flag => "boolean",
    };
    R::COLUMNS
        .iter()
        .map(|column| format!("{} {}", column.name, sql(column.kind)))
        .collect()
}

fn framed(before: &[&str], middle: Vec<String>, after: &[&str]) -> Vec<String> {
    let own = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    [own(before), middle, own(after)].concat()
}

#[tokio::test]
async fn the_tables_are_those_the_records_declare() {
    let world = World::new().await;
    let scraped = "scraped_at timestamp with time zone";
    // The last columns were added by a later migration, so they stand behind the others.
    let mut master = declared::<MasterFields>();
    let added = master.split_off(master.len() - 3);
    let mut expected = framed(
        &["fund_code text"],
        master,
        &["fund_status text", "source_url text", scraped],
    );
    expected.extend(added);
    assert_eq!(columns(&world, "funds_master_info").await, expected);
    assert_eq!(
        columns(&world, "funds_fee").await,
        framed(
            &["fund_code text"],
            declared::<FeeFields>(),
            &["source_url text", scraped]
        )
    );
    assert_eq!(
        columns(&world, "funds_statistics").await,
        framed(
            &["fund_code text", "as_of_date date"],
            declared::<StatisticsFields>(),
            &["sec_url text", scraped]
        )
    );
    let stated = ["source text", "source_url text", scraped];
    assert_eq!(
        columns(&world, "funds_dividends").await,
        framed(
            &["fund_code text", "xd_date date"],
            declared::<DividendFields>(),
            &stated
        )
    );
    assert_eq!(
        columns(&world, "funds_performance").await,
        framed(
            &["fund_code text", "as_of_date date", "period text"],
            declared::<PerformanceFields>(),
            &stated
        )
    );
    let public = world
        .text("SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'public'")
        .await;
    assert_eq!(
        public,
        [
            "fund_nav_through_names funds_allocations funds_codes funds_daily funds_dividends funds_fee funds_holding funds_master_info funds_performance funds_statistics"
        ]
    );
}
