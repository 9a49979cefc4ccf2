//! `funds_codes` from two pages of one source: the register's profiles and the factsheets at its links.

use schema::SourceName::{Finnomena, SecOpenApi};
use schema::observation::{CodeType, ObservationData, SecurityCode};
use schema::{SourceName, TaskAnswer, TaskId};
use store::CycleKind;

use crate::appended::at_version;
use crate::server::connect;
use crate::world::{TODAY, World, done, list_of, open, says, task};

const CODES: &str = "SELECT concat_ws(' ', type, code, factsheet_url) FROM funds_codes ORDER BY 1";

fn codes(codes: &[(CodeType, &str)]) -> Vec<SecurityCode> {
    let codes = codes.iter().map(|(code_type, code)| SecurityCode {
        code_type: *code_type,
        code: (*code).to_owned(),
    });
    codes.collect()
}

fn profile(isin: &str) -> TaskAnswer {
    let said = ObservationData::ProfileCodes(codes(&[(CodeType::Isin, isin)]));
    let page = task(SecOpenApi, "profile", TaskId::WHOLE_MARKET);
    done(page, vec![says("A", SecOpenApi, None, said)])
}

fn factsheet(source: SourceName, isin: &str) -> TaskAnswer {
    let said = codes(&[(CodeType::Isin, isin), (CodeType::Bloomberg, "A TB")]);
    let mut said = says("A", source, None, ObservationData::Codes(said));
    said.url = format!("https://docs.example/{source}.pdf");
    done(task(source, "factsheet", "A"), vec![said])
}

#[tokio::test]
async fn codes_of_the_profile_and_of_the_factsheet_do_not_replace_each_other() {
    let url = "https://docs.example/sec_open_api.pdf";
    let expected = [format!("Bloomberg A TB {url}"), format!("ISIN TH1 {url}")];
    // In either order, and in one batch.
    for order in [[0, 1], [1, 0]] {
        let mut world = World::new().await;
        world.commit(vec![list_of(&["A"])]).await;
        for at in order {
            let answer = [profile("TH1"), factsheet(SecOpenApi, "TH1")][at].clone();
            let report = world.commit(vec![answer]).await;
            let counts = report.tables["funds_codes"].records;
            assert_eq!(
                counts.observed,
                counts.inserted + counts.updated + counts.unchanged
            );
        }
        assert_eq!(world.text(CODES).await, expected);
        // The same again writes no row.
        world.next_cycle(TODAY, CycleKind::Monthly).await;
        let before = world.versions().await;
        world
            .commit(vec![factsheet(SecOpenApi, "TH1"), profile("TH1")])
            .await;
        assert_eq!(world.versions().await, before);
    }
    // Another source's factsheet ranks higher.
    let mut world = World::new().await;
    world
        .commit(vec![
            list_of(&["A"]),
            profile("TH1"),
            factsheet(SecOpenApi, "TH1"),
            factsheet(Finnomena, "TH2"),
        ])
        .await;
    assert_eq!(
        world.text(CODES).await,
        [
            "Bloomberg A TB https://docs.example/finnomena.pdf".to_owned(),
            format!("ISIN TH1 {url}"),
        ]
    );
}

/// Until version 15 the codes of the register's profiles had the dataset of factsheets, and the API's address as their
/// URL.
#[tokio::test]
async fn o7_the_codes_of_profiles_become_a_dataset_of_their_own() {
    let database = at_version(14).await;
    let sql = connect(&database).await;
    sql.batch_execute(
        r#"INSERT INTO public.funds_master_info (fund_code) VALUES ('A'), ('B');
         INSERT INTO runner.fund (fund_code, in_universe) VALUES ('A', true), ('B', true);
         INSERT INTO runner.observation (fund_id, source, dataset, fields, url)
         SELECT fund_id, 'sec_open_api', 'codes',
                '{"codes": [{"type": "ISIN", "code": "TH1", "url": "https://api.example/profiles"}]}', 'https://api.example/profiles'
         FROM runner.fund;
         INSERT INTO runner.observation (fund_id, source, dataset, fields, url)
         SELECT fund_id, 'finnomena', 'codes',
                '{"codes": [{"type": "ISIN", "code": "TH1", "url": "https://docs.example/a.pdf"}]}', 'https://docs.example/a.pdf'
         FROM runner.fund WHERE fund_code = 'A';
         INSERT INTO public.funds_codes (fund_code, type, code, factsheet_url)
         VALUES ('A', 'ISIN', 'TH1', 'https://api.example/profiles'), ('B', 'ISIN', 'TH1', 'https://api.example/profiles')"#,
    )
    .await
    .unwrap();
    drop(open(&database).await);
    let world = World::on(database).await;
    assert_eq!(
        world
            .text(
                "SELECT concat_ws(' ', fund_code, code, factsheet_url) FROM funds_codes ORDER BY 1"
            )
            .await,
        ["A TH1 https://docs.example/a.pdf", "B TH1"]
    );
    assert_eq!(
        world
            .text("SELECT DISTINCT concat_ws(' ', source, dataset, fields #>> '{codes,0,url}') FROM runner.observation ORDER BY 1")
            .await,
        [
            "finnomena codes https://docs.example/a.pdf",
            "sec_open_api profile_codes"
        ]
    );
}
