//! The seven tables have exactly the columns that the records declare.

use schema::columns::{FeeFields, Kind, MasterFields, Record, StatisticsFields};

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
    assert_eq!(
        columns(&world, "funds_master_info").await,
        framed(
            &["fund_code text"],
            declared::<MasterFields>(),
            &["fund_status text", "source_url text", scraped]
        )
    );
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
    let public = world
        .text("SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'public'")
        .await;
    assert_eq!(
        public,
        [
            "funds_allocations funds_codes funds_daily funds_fee funds_holding funds_master_info funds_statistics"
        ]
    );
}
