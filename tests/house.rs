//! Checks of the project's structure: the dependencies between crates, and the references in documents, comments and
//! tests.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The dependencies of each workspace crate on other workspace crates, without dev-dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    packages
        .iter()
        .map(|package| {
            let needs = package["dependencies"].as_array().expect("dependencies");
            let needs = needs.iter().filter(|need| need["kind"].is_null()).map(name);
            (
                name(package),
                needs.filter(|need| ours.contains(need)).collect(),
            )
        })
        .collect()
}

#[test]
fn arrows_run_one_way_and_the_simulator_depends_on_no_other_crate() {
    let needs = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let expected = BTreeMap::from([
        ("schema".to_owned(), needs(&[])),
        ("sources".to_owned(), needs(&["schema"])),
        ("store".to_owned(), needs(&["schema"])),
        ("embedded_postgres".to_owned(), needs(&[])),
        ("actors".to_owned(), needs(&["schema", "sources", "store"])),
        (
            "master_runner".to_owned(),
            needs(&["schema", "sources", "store", "embedded_postgres", "actors"]),
        ),
        ("simulator".to_owned(), needs(&[])),
        // The benchmarks, which measure all other crates.
        (
            "bench".to_owned(),
            needs(&[
                "schema",
                "sources",
                "store",
                "embedded_postgres",
                "master_runner",
                "simulator",
            ]),
        ),
        // Properties of the parsers, tested from outside.
        (
            "parser_properties".to_owned(),
            needs(&["schema", "sources", "master_runner"]),
        ),
    ]);
    assert_eq!(dependencies(), expected);
}

/// The crates of a build (`edges` as for cargo tree), with their enabled features.
fn resolved(edges: &str) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "master_runner"])
        .args(["--edges", edges, "--prefix", "none", "--format", "{p} {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree runs");
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    String::from_utf8(tree.stdout).expect("cargo tree speaks UTF-8")
}

#[test]
fn only_tests_have_failpoints() {
    let says_so = |tree: &str| tree.contains("failpoints") || tree.contains("\nfail v");
    assert!(says_so(&resolved("normal,build,dev")));
    let ordinary = resolved("normal,build");
    assert!(!says_so(&ordinary), "{ordinary}");
}

/// The tracked text files of the project: path and content. Files that are not UTF-8 (finds of the fuzzer) are left
/// out.
fn tracked_files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(root)
        .output()
        .expect("git runs");
    assert!(
        listed.status.success(),
        "the tracked files are read from a git checkout: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    names
        .split_terminator('\0')
        .filter_map(|name| {
            let text = std::fs::read_to_string(root.join(name)).ok()?;
            Some((name.to_owned(), text))
        })
        .collect()
}

/// Whether a word is the id of an invariant: one of four letters and a number from 1 to 19.
fn is_id(word: &str) -> bool {
    let mut rest = word.chars();
    let is_letter = matches!(rest.next(), Some('D' | 'A' | 'P' | 'O'));
    let number = rest.as_str();
    is_letter
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && !number.starts_with('0')
        && number.parse::<u8>().is_ok_and(|number| number < 20)
}

/// The ids in a line of prose. An id is a word of its own, part of a range of two, or followed by `'s`. Quoted texts,
/// paths, options and longer names contain no ids.
fn ids_in_prose(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for word in line.split(|c: char| !(c.is_alphanumeric() || "_-+%/=\"'".contains(c))) {
        let word = word.strip_suffix("'s").unwrap_or(word);
        let ends: Vec<&str> = word.split('-').collect();
        if ends.len() <= 2 && ends.iter().all(|end| is_id(end)) {
            ids.extend(ends.into_iter().map(str::to_owned));
        }
    }
    ids
}

/// The ids in a line of Rust: in its comment, in parentheses, before a colon at the start of a string, in a test's
/// name.
fn ids_in_rust(line: &str) -> Vec<String> {
    let (code, comment) = line.split_once("//").unwrap_or((line, ""));
    let mut ids = ids_in_prose(comment);
    for rest in code.split('(').skip(1) {
        ids.extend(rest.split_once(')').map(|(inside, _)| inside.to_owned()));
    }
    for rest in code.split('"').skip(1) {
        ids.extend(rest.split_once(": ").map(|(before, _)| before.to_owned()));
    }
    for name in code.split("fn ").skip(1) {
        let parts = name.split('_').map(str::to_uppercase);
        ids.extend(parts.take_while(|part| is_id(part)));
    }
    ids.retain(|word| is_id(word));
    ids
}

/// The rows of the table of invariants in docs/architecture.md, by id.
fn invariants() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut table = BTreeMap::new();
    for line in include_str!("../docs/architecture.md").lines() {
        let cells: Vec<&'static str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let id = cells[0];
        if is_id(id) {
            assert_eq!(cells.len(), 4, "a row has four cells: {line}");
            let before = table.insert(id, cells);
            assert!(before.is_none(), "{id} is defined twice");
        }
    }
    assert!(table.len() > 30, "{} invariants are defined", table.len());
    table
}

/// The texts in backticks in a line.
fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn ids_of_invariants_are_distinguished_from_other_words() {
    let prose: [(&str, &[&str]); 4] = [
        ("one transaction (D1).", &["D1"]),
        ("(A1-A3, O2)", &["A1", "A3", "O2"]),
        ("the words of D6's error, see `P4`", &["D6", "P4"]),
        (
            "-O2, P0, D100, P95, V1, \"D1\", 'D1', /P1/, K-USA-A1, D1_x",
            &[],
        ),
    ];
    for (line, ids) in prose {
        assert_eq!(ids_in_prose(line), ids, "{line}");
    }
    let rust: [(&str, &[&str]); 5] = [
        ("let codes = [\"D1\", \"D2 2026\"]; // D3", &["D3"]),
        ("assert!(ok, \"wrote rows (D2)\");", &["D2"]),
        ("\"P2: no hash\"", &["P2"]),
        ("async fn d5_d6_no_mutation() {", &["D5", "D6"]),
        ("fn a_fund() {}", &[]),
    ];
    for (line, ids) in rust {
        assert_eq!(ids_in_rust(line), ids, "{line}");
    }
}

#[test]
fn every_invariant_that_is_named_is_defined() {
    let defined = invariants();
    let mut named = 0;
    let mut unknown = Vec::new();
    for (path, text) in tracked_files() {
        let extension = Path::new(&path).extension().and_then(|text| text.to_str());
        let is_rust = extension == Some("rs");
        let is_prose =
            matches!(extension, Some("md" | "ron" | "sql")) || path.starts_with("script/");
        // The examples in this file are not references.
        if path == "tests/house.rs" || !(is_rust || is_prose) {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let ids = if is_rust {
                ids_in_rust(line)
            } else {
                ids_in_prose(line)
            };
            for id in ids {
                named += 1;
                if !defined.contains_key(id.as_str()) {
                    unknown.push(format!("{path}:{}: {id}", at + 1));
                }
            }
        }
    }
    assert!(named > 300, "{named} ids were found");
    assert!(
        unknown.is_empty(),
        "docs/architecture.md does not define:\n{}",
        unknown.join("\n")
    );
}

#[test]
fn every_file_and_test_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for name in include_str!("../docs/architecture.md")
        .lines()
        .flat_map(in_backticks)
    {
        if !name.contains('/') {
            continue;
        }
        let (path, test) = name.split_once("::").unwrap_or((name, ""));
        if !root.join(path).exists() {
            wrong.push(format!("no file {path}"));
        } else if !test.is_empty() {
            let text = std::fs::read_to_string(root.join(path)).expect("a source file");
            if !text.contains(&format!("fn {test}(")) {
                wrong.push(format!("no test {test} in {path}"));
            }
        }
    }
    for (id, cells) in invariants() {
        if !in_backticks(cells[2]).any(|name| name.contains('/')) {
            wrong.push(format!("{id} names no file that enforces it"));
        }
        let is_shown = in_backticks(cells[3]).any(|name| name.contains("::"));
        if !is_shown && cells[3] != "no test of its own" {
            wrong.push(format!("{id} names no test that shows it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A reader has only the project, so no file may refer to a document outside it.
#[test]
fn no_file_refers_to_a_document_outside_the_project() {
    // The names are split, so that this file does not contain them.
    let named_by_section = [["DES", "IGN"].concat(), ["SOUR", "CES"].concat()];
    let named_by_file = ["STY", "LE.md"].concat();
    let mut found = Vec::new();
    for (path, text) in tracked_files() {
        for (at, line) in text.lines().enumerate() {
            let mut refers = line.contains(&named_by_file);
            for document in &named_by_section {
                for rest in line.split(document.as_str()).skip(1) {
                    let number = rest.strip_prefix(' ').and_then(|rest| rest.chars().next());
                    refers |= rest.starts_with(" section")
                        || rest.starts_with(".md")
                        || number.is_some_and(|first| first.is_ascii_digit());
                }
            }
            if refers {
                found.push(format!("{path}:{}: {line}", at + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
