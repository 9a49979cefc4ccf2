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
        // What must hold of the parsers, from outside.
        (
            "parser_properties".to_owned(),
            needs(&["schema", "sources", "master_runner"]),
        ),
    ]);
    assert_eq!(dependencies(), expected);
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
