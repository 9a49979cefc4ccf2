//! The merge actor's check of every answer before it is batched: an answer may only contain its own source and its own
//! fund. Pure.

use schema::task::Severity;
use schema::{Reject, TaskAnswer};

/// Removes observations of another source or another fund from an answer, and adds a reject for each of them. The other
/// observations stay (D6).
#[must_use]
pub fn validate_answer(mut answer: TaskAnswer) -> TaskAnswer {
    let id = answer.id.clone();
    let (kept, strangers): (Vec<_>, Vec<_>) = std::mem::take(&mut answer.observations)
        .into_iter()
        .partition(|observation| {
            observation.source == id.source
                && (!id.is_of_one_fund() || observation.fund_code.as_str() == id.key)
        });
    answer.observations = kept;
    for stranger in strangers {
        answer.payload = None;
        answer.known_prefix = None;
        answer.rejects.push(Reject {
            fund_code: Some(stranger.fund_code.to_string()),
            dataset: stranger.data.dataset(),
            field: "*".to_owned(),
            reason: format!("the page of {id} may have statements about {} only", id.key),
            sample: Reject::sample_of(&format!(
                "{} says {} of {}",
                stranger.source,
                stranger.data.dataset(),
                stranger.fund_code
            )),
            severity: Severity::Rejected,
        });
    }
    answer
}

#[cfg(test)]
mod tests {
    use schema::columns::MasterFields;
    use schema::task::{KnownPrefix, PayloadHash};
    use schema::{FundCode, Observation, ObservationData, Outcome, SourceName, TaskId};

    use super::*;

    fn answer(key: &str, codes: &[&str]) -> TaskAnswer {
        let id = TaskId {
            source: SourceName::Finnomena,
            page: "fund".into(),
            key: key.into(),
        };
        TaskAnswer {
            observations: codes
                .iter()
                .map(|code| Observation {
                    fund_code: FundCode::parse(code).expect("a code"),
                    source: SourceName::Finnomena,
                    as_of_date: None,
                    url: String::new(),
                    data: ObservationData::Master(MasterFields::default()),
                })
                .collect(),
            payload: Some((PayloadHash([1; 32]), 1)),
            known_prefix: Some(KnownPrefix {
                bytes: 1,
                hash: PayloadHash([1; 32]),
                until: "2026-01-01".parse().expect("a date"),
            }),
            ..TaskAnswer::empty(id, Outcome::Done, 1)
        }
    }

    #[test]
    fn a_page_supplies_statements_about_its_own_fund_only() {
        let validated = validate_answer(answer("A", &["A", "B"]));
        assert_eq!(validated.observations.len(), 1);
        assert_eq!(validated.rejects.len(), 1);
        assert_eq!((validated.payload, validated.known_prefix), (None, None));
        assert_eq!(
            validate_answer(answer("*", &["A", "B"])).observations.len(),
            2
        );
        // A page number is not a fund code, even if a fund has that code.
        let mut piece = answer("1", &["A", "1"]);
        piece.id.page = TaskId::PIECES.into();
        assert_eq!(validate_answer(piece).observations.len(), 2);
    }
}
