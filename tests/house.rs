//! The shape of the house: who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate of the workspace with the other crates of the workspace it depends on (for building, not for testing).
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
fn arrows_run_one_way_and_the_replica_depends_on_nobody() {
    let needs = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let expected = BTreeMap::from([
        ("schema".to_owned(), needs(&[])),
        ("sources".to_owned(), needs(&["schema"])),
        ("actors".to_owned(), needs(&["schema", "sources"])),
        (
            "master_runner".to_owned(),
            needs(&["schema", "sources", "actors"]),
        ),
        ("replica".to_owned(), needs(&[])),
        // The actors' own files, linked against stand-ins for tests: the program needs none of these.
        ("protocol_model_schema".to_owned(), needs(&["schema"])),
        (
            "protocol_model_sources".to_owned(),
            needs(&["schema", "sources"]),
        ),
        (
            "protocol_model".to_owned(),
            needs(&["protocol_model_schema", "protocol_model_sources"]),
        ),
        // What measures all of them.
        (
            "bench".to_owned(),
            needs(&["schema", "sources", "master_runner", "replica"]),
        ),
        // What must hold of the parsers, from outside.
        (
            "parser_properties".to_owned(),
            needs(&["schema", "sources", "master_runner"]),
        ),
    ]);
    assert_eq!(dependencies(), expected);
}

/// The crates a build needs that is not one of the tests (`edges` as of cargo tree), and the features they have in it.
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

#[test]
fn main_is_a_thin_table() {
    let main = include_str!("../src/main.rs");
    assert!(
        main.lines().count() < 80,
        "main.rs has {} lines",
        main.lines().count()
    );
}
