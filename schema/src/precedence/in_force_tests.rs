use super::super::entries::ranked_tables;
use super::*;
use crate::Dataset::{Codes, Fees, Listing, Master, Minimums, ProfileCodes};
use SourceName::{Adopted, Finnomena, SecFundcheck, SecOpenApi, Wealthmagik};

fn configured<'written>(
    entries: &[(&'written str, &[&'written str])],
) -> Result<Precedence, Vec<PrecedenceProblem>> {
    let entries = entries
        .iter()
        .map(|(place, names)| (*place, names.to_vec()));
    Precedence::configured(entries)
}

fn right(entries: &[(&str, &[&str])]) -> Precedence {
    configured(entries).expect("a right precedence")
}

fn table<'all>(precedence: &'all Precedence, name: &str) -> &'all RowTable {
    let mut tables = precedence.row_tables().iter();
    tables.find(|table| table.table == name).expect("a table")
}

fn lines(precedence: &Precedence) -> Vec<String> {
    let lines = precedence.ranks().into_iter().map(|rank| {
        let sources: Vec<&str> = rank.sources.iter().map(|source| source.as_str()).collect();
        let mark = if rank.is_configured {
            " (configured)"
        } else {
            ""
        };
        format!("{}: {}{mark}", rank.place, sources.join(", "))
    });
    lines.collect()
}

#[test]
fn without_an_entry_the_ranks_are_the_declared_ones() {
    let default = right(&[]);
    assert_eq!(default, Precedence::default());
    for (table, declared) in default.row_tables().iter().zip(ROW_TABLES) {
        assert_eq!(table, declared);
        assert!(matches!(table.value_rank, Cow::Borrowed(_)), "no copy");
    }
    assert_eq!(*default.days(), DAYS);
    assert_eq!(
        lines(&default),
        [
            "funds_master_info: finnomena, wealthmagik, sec_open_api, adopted",
            "funds_fee: finnomena, wealthmagik, sec_open_api, adopted",
            "funds_statistics: sec_fundcheck, sec_open_api, adopted",
            "funds_daily.nav_value: sec_open_api, finnomena, wealthmagik, adopted",
            "funds_daily.bid: wealthmagik, sec_open_api, adopted",
            "funds_daily.offer: wealthmagik, sec_open_api, adopted",
            "funds_daily.aum: sec_open_api, finnomena, wealthmagik, adopted",
            "funds_codes: sec_open_api, finnomena, wealthmagik, adopted",
            "funds_dividends: sec_open_api, finnomena, adopted",
            "funds_performance: sec_open_api, adopted",
        ]
    );
}

#[test]
fn sources_that_are_not_named_follow_in_the_default_order() {
    let precedence = right(&[("funds_master_info", &["wealthmagik"])]);
    let master = table(&precedence, "funds_master_info");
    assert_eq!(
        master.value_rank[..3],
        [
            (Wealthmagik, Master),
            (Finnomena, Master),
            (Finnomena, Listing)
        ]
    );
    assert_eq!(
        master.value_rank.len(),
        table(&Precedence::default(), master.table).value_rank.len()
    );
    assert_eq!(master.value_rank.last(), Some(&(Adopted, Master)));
    assert_eq!(master.url_rank[0], (Wealthmagik, Master));
    let precedence = right(&[("funds_codes", &["wealthmagik", "finnomena"])]);
    assert_eq!(
        precedence.codes(),
        [
            (Wealthmagik, Codes),
            (Finnomena, Codes),
            (SecOpenApi, ProfileCodes),
            (SecOpenApi, Codes),
            (SecFundcheck, Codes),
            (Adopted, Codes),
        ]
    );
}

#[test]
fn a_table_s_rank_holds_for_the_columns_without_one_of_their_own() {
    let precedence = right(&[
        ("funds_fee.ter_max", &["sec_open_api"]),
        ("funds_fee", &["wealthmagik", "sec_open_api"]),
        ("funds_daily", &["wealthmagik"]),
        ("funds_daily.aum", &["finnomena"]),
    ]);
    let fee = table(&precedence, "funds_fee");
    assert_eq!(fee.rank("ter_actual")[0], (Wealthmagik, Fees));
    assert_eq!(
        fee.rank("ter_max")[..4],
        [
            (SecOpenApi, Fees),
            (SecOpenApi, Minimums),
            (Finnomena, Fees),
            (Finnomena, Minimums),
        ],
        "the other sources follow in the default order"
    );
    let days = precedence.days();
    assert_eq!(
        days.nav,
        [Wealthmagik, SecOpenApi, Finnomena, SecFundcheck, Adopted]
    );
    assert_eq!(
        days.aum,
        [Finnomena, SecOpenApi, Wealthmagik, SecFundcheck, Adopted]
    );
    assert_eq!(days.bid, DAYS.bid);
    let lines = lines(&precedence);
    for line in [
        "funds_fee: wealthmagik, sec_open_api, finnomena, adopted (configured)",
        "funds_fee.ter_max: sec_open_api, finnomena, wealthmagik, adopted (configured)",
        "funds_daily.nav_value: wealthmagik, sec_open_api, finnomena, adopted (configured)",
        "funds_daily.aum: finnomena, sec_open_api, wealthmagik, adopted (configured)",
        "funds_statistics: sec_fundcheck, sec_open_api, adopted",
    ] {
        assert!(
            lines.iter().any(|found| found == line),
            "{line}: {lines:#?}"
        );
    }
}

#[test]
fn every_wrong_entry_is_found_with_its_place() {
    let problems = configured(&[
        ("funds_holding", &["finnomena"]),
        ("funds_daily.nav", &["finnomena"]),
        ("funds_dividends.value", &["sec_open_api"]),
        ("funds_daily.bid", &["finnomena", "wealthmagik"]),
        (
            "funds_fee",
            &["finnomena", "bloomberg", "finnomena", "adopted"],
        ),
        ("funds_statistics", &[]),
        ("funds_statistics", &["wealthmagik"]),
        ("funds_master_info.currency", &["finnomena"]),
    ])
    .expect_err("wrong");
    let problems: Vec<String> = problems
        .into_iter()
        .map(|problem| {
            let at = problem.at.map(|at| format!("[{at}]")).unwrap_or_default();
            format!(
                "{}{at}: {}; expected {}",
                problem.place, problem.found, problem.expected
            )
        })
        .collect();
    assert_eq!(
        problems,
        [
            "funds_holding: not the name of a table that is merged by rank; expected funds_master_info, funds_fee, funds_statistics, funds_daily, funds_codes, funds_dividends, funds_performance, or a column such as funds_daily.bid",
            "funds_daily.nav: not a column of funds_daily that is merged by rank; expected one of nav_value, bid, offer, aum",
            "funds_dividends.value: a column of funds_dividends, whose rows have one rank; expected \"funds_dividends\"",
            "funds_daily.bid[0]: \"finnomena\", which never supplies funds_daily.bid; expected one of wealthmagik, sec_open_api",
            "funds_fee[1]: \"bloomberg\", which is not a source; expected one of finnomena, wealthmagik, sec_open_api",
            "funds_fee[2]: \"finnomena\" for the second time; expected each source once",
            "funds_fee[3]: \"adopted\", which always ranks last; expected one of finnomena, wealthmagik, sec_open_api",
            "funds_statistics: an empty list; expected one of sec_fundcheck, sec_open_api",
            "funds_statistics: given a second time; expected each table and each column once",
            "funds_statistics[0]: \"wealthmagik\", which never supplies funds_statistics; expected one of sec_fundcheck, sec_open_api",
            "funds_master_info.currency[0]: \"finnomena\", which never supplies funds_master_info.currency; expected no entry: no source supplies it today",
        ]
    );
}

/// A configured rank is the default one in another order, so no value is lost.
#[test]
fn a_rank_keeps_every_statement() {
    let all = SourceName::REQUESTED.iter().map(|source| source.as_str());
    for source in all {
        for (table, columns) in ranked_tables() {
            let written = columns.iter().map(|column| format!("{table}.{column}"));
            for place in written.chain([table.to_owned()]) {
                let Ok(precedence) = configured(&[(&place, &[source])]) else {
                    continue;
                };
                for (table, default) in precedence.row_tables().iter().zip(ROW_TABLES) {
                    for column in default.columns {
                        let mut rank = table.rank(column.name).to_vec();
                        assert_eq!(rank.last().map(|key| key.0), Some(Adopted));
                        let mut declared = default.rank(column.name).to_vec();
                        rank.sort_unstable();
                        declared.sort_unstable();
                        assert_eq!(rank, declared, "{place} {source}");
                    }
                }
            }
        }
    }
}
