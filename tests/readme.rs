//! Tests that the README's examples work.

use clap::Parser as _;
use master_runner::cli::Cli;
use simulator::MarketConfig;

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
            .filter(|word| *word != "--demo")
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

/// Appends the text of all Rust files below a folder of the project.
fn rust_sources(folder: &std::path::Path, text: &mut String) {
    let entries = std::fs::read_dir(folder).expect("a folder of the project");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name == "target" || name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !is_hidden {
            rust_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_that_the_table_of_failures_names_exists() {
    let table = include_str!("../docs/failures.md");
    let mut sources = String::new();
    rust_sources(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")),
        &mut sources,
    );
    let named: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| fault"))
        .map(|row| row.rsplit(" | ").next().unwrap_or_default())
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter_map(|path| path.rsplit("::").next())
        .collect();
    assert!(named.len() > 60, "{} tests are named", named.len());
    let unknown: Vec<&&str> = named
        .iter()
        .filter(|name| {
            let [function, module] = [format!("fn {name}("), format!("mod {name};")];
            !sources.contains(&function) && !sources.contains(&module)
        })
        .collect();
    assert!(unknown.is_empty(), "no test has these names: {unknown:?}");
}
