//! What the README shows works.

use clap::Parser as _;
use master_runner::cli::Cli;
use replica::MarketConfig;

use crate::world::World;

const README: &str = include_str!("../README.md");

/// The fenced blocks of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    README
        .split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block))
        .collect()
}

#[test]
fn every_command_line_is_understood() {
    let lines: Vec<&str> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .map(|line| line.split(" #").next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    assert!(lines.len() >= 8, "{lines:?}");
    for line in lines {
        let words: Vec<&str> = line
            .split_whitespace()
            .filter(|word| *word != "--replica")
            .collect();
        match words[0] {
            "master_runner" | "script/run" => {
                let parsed = Cli::try_parse_from(
                    std::iter::once("master_runner").chain(words[1..].iter().copied()),
                );
                assert!(
                    parsed.is_ok(),
                    "`{line}`: {}",
                    parsed
                        .err()
                        .map(|error| error.to_string())
                        .unwrap_or_default()
                );
            }
            "script/test" => assert_eq!(words.len(), 1, "`{line}`"),
            other => panic!("the README shows `{other}`, which no test knows"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_answers_with_rows() {
    let world = World::new(MarketConfig::default()).await;
    world.run(&["--once", "--cycle", "monthly"]).await.exits(0);
    let client = world.database.connect().await;
    let queries = blocks("sql");
    assert_eq!(queries.len(), 3);
    for query in queries {
        let query = query.replace("'%kbank%'", "'%a%'");
        let rows = client
            .query(&query, &[])
            .await
            .unwrap_or_else(|error| panic!("{query}\n{error}"));
        assert!(!rows.is_empty(), "no rows: {query}");
    }
}
