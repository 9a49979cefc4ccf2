//! An older `funds_db` is adopted in place. What cannot be adopted is named in the error, and nothing is changed.

use std::time::Duration;

use jiff::civil::date;
use schema::SourceName::{Finnomena, Wealthmagik};
use schema::columns::{FeeFields, MasterFields};
use schema::observation::PortfolioKind;
use store::{ChangeRequest, StoreError, Writer};

use crate::server::{connect, fresh_database};
use crate::world::{World, days, fees, list_of, master, number, portfolio};

/// Column types of the older pipeline: bounded text, four decimals, times without zone, cascading foreign keys, and
/// surrogate keys or no keys.
const OLDER: &str = "
    CREATE TABLE funds_master_info (
        fund_code VARCHAR(50) PRIMARY KEY, full_name_th VARCHAR(255), full_name_en VARCHAR(255), amc VARCHAR(255),
        category VARCHAR(100), risk_level INT, is_dividend VARCHAR(20), inception_date DATE, currency VARCHAR(10),
        country VARCHAR(50), fund_status VARCHAR(20) NOT NULL DEFAULT 'active', source_url TEXT,
        scraped_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE funds_daily (
        fund_code VARCHAR(50) REFERENCES funds_master_info ON DELETE CASCADE, nav_date DATE,
        nav_value DECIMAL(18,4), bid DECIMAL(18,4), offer DECIMAL(18,4), aum DECIMAL(20,2), source VARCHAR(50),
        scraped_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (fund_code, nav_date));
    CREATE TABLE funds_fee (
        fund_code VARCHAR(50) PRIMARY KEY REFERENCES funds_master_info ON DELETE CASCADE,
        front_end_max DECIMAL(10,4), front_end_actual DECIMAL(10,4), back_end_max DECIMAL(10,4), back_end_actual DECIMAL(10,4),
        management_max DECIMAL(10,4), management_actual DECIMAL(10,4), ter_max DECIMAL(10,4), ter_actual DECIMAL(10,4),
        switching_in_max DECIMAL(10,4), switching_in_actual DECIMAL(10,4), switching_out_max DECIMAL(10,4),
        switching_out_actual DECIMAL(10,4), min_initial_buy DECIMAL(18,2), min_next_buy DECIMAL(18,2),
        source_url TEXT, scraped_at TIMESTAMP);
    CREATE TABLE funds_statistics (
        fund_code VARCHAR(50) PRIMARY KEY REFERENCES funds_master_info ON DELETE CASCADE, as_of_date DATE,
        sharpe_ratio DOUBLE PRECISION, alpha DECIMAL(10,4), beta DECIMAL(10,4), max_drawdown DECIMAL(10,4),
        recovering_period VARCHAR(50), tracking_error DECIMAL(10,4), turnover_ratio DECIMAL(10,4), fx_hedging DECIMAL(10,4),
        sec_url TEXT, scraped_at TIMESTAMP);
    CREATE TABLE funds_holding (
        id SERIAL PRIMARY KEY, fund_code VARCHAR(50) REFERENCES funds_master_info ON DELETE CASCADE, name VARCHAR(255) NOT NULL,
        source VARCHAR(50), type VARCHAR(20), percent DECIMAL(10,4), as_of_date DATE, source_url TEXT,
        holding_type VARCHAR(20), scraped_at TIMESTAMP);
    CREATE TABLE funds_allocations (
        fund_code VARCHAR(50) REFERENCES funds_master_info ON DELETE CASCADE, name VARCHAR(255), type VARCHAR(50),
        source VARCHAR(50), percent DECIMAL(10,4), as_of_date DATE, source_url TEXT, scraped_at TIMESTAMP);
    CREATE TABLE funds_codes (
        fund_code VARCHAR(50) REFERENCES funds_master_info ON DELETE CASCADE, type VARCHAR(20), code VARCHAR(50),
        factsheet_url TEXT, scraped_at TIMESTAMP, PRIMARY KEY (fund_code, type, code));
    INSERT INTO funds_master_info (fund_code, full_name_th, amc, risk_level, scraped_at) VALUES
        ('A', 'กองทุน A', 'AMC', 5, '2026-01-02 03:04:05'), ('A ', 'กองทุน A', NULL, 5, '2026-01-01 00:00:00'),
        ('O''Neil 7%', 'x', NULL, NULL, '2026-01-01 00:00:00');
    INSERT INTO funds_daily (fund_code, nav_date, nav_value, bid, aum, source) VALUES
        ('A', '2026-10-01', 10.1234, NULL, 7, 'finnomena'), ('A', '2026-10-02', 10.2, 10.1, NULL, 'wealthmagik'),
        ('A ', '2026-10-02', 10.3, NULL, NULL, 'finnomena'), ('A ', '2026-10-03', 'NaN', NULL, 5, 'finnomena');
    INSERT INTO funds_fee (fund_code, ter_max) VALUES ('A', 1.5);
    INSERT INTO funds_statistics (fund_code, as_of_date, sharpe_ratio, recovering_period) VALUES
        ('A', '2026-09-30', 0.1, '1 ปี'), ('O''Neil 7%', NULL, 'NaN', '30');
    INSERT INTO funds_holding (fund_code, name, source, type, percent, as_of_date, holding_type) VALUES
        ('A', 'X', 'Finnomena', 'holding', 9.5, '2026-09-30', 'top5'), ('A', 'X', 'Finnomena', 'holding', 9.5, '2026-09-30', 'top5'),
        ('A', 'Y', 'Finnomena', 'holding', NULL, '2026-09-30', 'top5'), ('A', 'OLD', 'Finnomena', 'holding', 1, '2026-08-31', 'top5');
    INSERT INTO funds_allocations (fund_code, name, type, source, percent) VALUES
        ('A', 'Equity', 'asset_alloc', 'wealthmagik', 99), ('A ', 'Equity', 'asset_alloc', 'wealthmagik', 99);
    INSERT INTO funds_codes (fund_code, type, code) VALUES ('A', 'ISIN', 'TH0000000001'), ('A', 'Morningstar', 'F0');
    CREATE VIEW newest AS SELECT fund_code, max(nav_date) AS nav_date, max(nav_value) AS nav_value FROM funds_daily GROUP BY 1;
    CREATE VIEW \"on Top\" AS SELECT n.*, m.amc FROM newest n JOIN funds_master_info m USING (fund_code);
    COMMENT ON VIEW \"on Top\" IS 'it''s mine';";

async fn older() -> String {
    let database = fresh_database().await;
    connect(&database).await.batch_execute(OLDER).await.unwrap();
    database
}

#[tokio::test]
async fn an_older_warehouse_is_adopted_in_place() {
    let database = older().await;
    let sql = connect(&database).await;
    sql.batch_execute(
        "DROP ROLE IF EXISTS reader; CREATE ROLE reader; GRANT SELECT ON \"on Top\" TO reader;
         DROP ROLE IF EXISTS analyst; CREATE ROLE analyst; ALTER VIEW \"on Top\" OWNER TO analyst",
    )
    .await
    .unwrap();
    let world = World::on(database).await;
    assert_eq!(
        world.text("SELECT concat_ws('|', fund_code, amc, fund_status, scraped_at) FROM funds_master_info ORDER BY 1").await,
        ["A|AMC|active|2026-01-02 03:04:05+00", "O'Neil 7%|active|2026-01-01 00:00:00+00"]
    );
    assert_eq!(
        world.text("SELECT concat_ws('|', fund_code, nav_date, nav_value, bid, aum) FROM funds_daily ORDER BY nav_date").await.len(),
        3
    );
    assert_eq!(
        world.text("SELECT concat_ws('|', source, holding_type, row_no, name, percent) FROM funds_holding ORDER BY row_no").await,
        ["finnomena|top5|1|X|9.5000", "finnomena|top5|2|Y"]
    );
    assert_eq!(world.table("funds_allocations").await.len(), 1);
    assert_eq!(
        world.text("SELECT concat_ws('|', sharpe_ratio, recovering_period) FROM funds_statistics ORDER BY fund_code").await,
        ["0.1", "30"]
    );
    assert_eq!(
        world.text("SELECT concat_ws('|', table_name, count(*)) FROM history.adopted GROUP BY table_name ORDER BY 1").await,
        ["funds_allocations|1", "funds_daily|1", "funds_holding|2", "funds_master_info|1", "funds_statistics|1"]
    );
    assert_eq!(
        world
            .text("SELECT DISTINCT confdeltype::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'funds_master_info'::regclass")
            .await,
        ["r"]
    );
    assert_eq!(
        world
            .text(
                "SELECT concat_ws('|', pg_get_userbyid(relowner), has_table_privilege('reader', oid, 'SELECT'), obj_description(oid))
                 FROM pg_class WHERE relname = 'on Top'"
            )
            .await,
        ["analyst|t|it's mine"]
    );
    assert_eq!(
        world.text("SELECT nav_date::text FROM newest").await,
        ["2026-10-03"]
    );
    assert_eq!(
        world
            .text(
                "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ' ') FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name LIKE 'funds%'
                   AND (data_type LIKE 'character%' OR data_type = 'timestamp without time zone' OR numeric_precision_radix = 10 AND numeric_precision IS NOT NULL)"
            )
            .await,
        ["NULL"]
    );
}

#[tokio::test]
async fn an_adopted_warehouse_is_loaded_like_any_other() {
    let mut world = World::on(older().await).await;
    let remerged = world.request(ChangeRequest::Remerge).await;
    assert!(remerged.contains("no row was written"), "{remerged}");
    let name = MasterFields {
        category: Some("Equity".to_owned()),
        ..MasterFields::default()
    };
    let fee = FeeFields {
        ter_max: Some(number("1.50")),
        ter_actual: Some(number("1.23456")),
        ..FeeFields::default()
    };
    world
        .commit(vec![
            list_of(&["A"]),
            days(
                "A",
                Finnomena,
                &[(1, ["10.12345", "7", "", ""]), (2, ["", "", "", ""])],
            ),
            master("A", Finnomena, name),
            fees("A", Finnomena, fee),
            portfolio(
                "A",
                Finnomena,
                PortfolioKind::TopHoldings,
                Some(date(2026, 9, 30)),
                &[("X", Some("9.5")), ("Z", Some("1"))],
            ),
            portfolio(
                "A",
                Wealthmagik,
                PortfolioKind::AssetAllocation,
                None,
                &[("Equity", Some("99"))],
            ),
        ])
        .await;
    assert_eq!(
        world.text("SELECT concat_ws('|', nav_value, aum, source, nav_said_by, aum_said_by) FROM funds_daily WHERE nav_date = '2026-10-01'").await,
        ["10.12345|7|finnomena|1|1"]
    );
    assert_eq!(
        world.text("SELECT concat_ws('|', old_value, new_value, source) FROM history.change WHERE table_name = 'funds_daily'").await,
        ["10.1234|10.12345|finnomena"]
    );
    assert_eq!(
        world.text("SELECT concat_ws('|', amc, category, risk_level) FROM funds_master_info WHERE fund_code = 'A'").await,
        ["AMC|Equity|5"]
    );
    assert_eq!(
        world
            .text("SELECT name FROM funds_holding ORDER BY row_no")
            .await,
        ["X", "Z"]
    );
    assert_eq!(world.table("funds_allocations").await.len(), 1);
    world
        .writer
        .totals(&world.cycle)
        .await
        .unwrap()
        .check_books()
        .unwrap();
    let before = world.versions().await;
    world
        .next_cycle(date(2026, 10, 16), store::CycleKind::Daily)
        .await;
    world
        .commit(vec![days(
            "A",
            Finnomena,
            &[(1, ["10.12345", "7", "", ""])],
        )])
        .await;
    assert_eq!(world.versions().await, before);
}

#[tokio::test]
async fn a_view_that_cannot_be_put_back_is_named_and_nothing_is_changed() {
    let database = older().await;
    let sql = connect(&database).await;
    sql.batch_execute("CREATE MATERIALIZED VIEW heavy AS SELECT * FROM funds_daily")
        .await
        .unwrap();
    let error = Writer::open(&database, Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Adoption(why) if why.contains("public.heavy")),
        "{error}"
    );
    let left = sql
        .query_one(
            "SELECT to_regnamespace('runner') IS NULL,
                    (SELECT data_type FROM information_schema.columns WHERE table_name = 'funds_daily' AND column_name = 'fund_code')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        (left.get::<_, bool>(0), left.get::<_, String>(1)),
        (true, "character varying".to_owned())
    );
}

#[tokio::test]
async fn a_table_that_only_has_the_name_is_refused_by_name() {
    let database = fresh_database().await;
    let sql = connect(&database).await;
    sql.batch_execute(
        "CREATE TABLE funds_fee (id INT, note TEXT); INSERT INTO funds_fee VALUES (1, 'mine')",
    )
    .await
    .unwrap();
    let error = Writer::open(&database, Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Adoption(why) if why.contains("public.funds_fee has no column fund_code")),
        "{error}"
    );
    assert_eq!(
        sql.query("SELECT note FROM funds_fee", &[])
            .await
            .unwrap()
            .len(),
        1
    );
}
