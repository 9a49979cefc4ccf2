//! Regression tests of what fuzzing has found: one small file for each find, in the folder of its target.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use parser_properties::{TARGETS, check};

/// The longest time for one find, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn d6_what_fuzzing_found_stays_mended() {
    let finds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../finds");
    let mut checked = 0;
    for folder in fs::read_dir(&finds).expect("the folder of finds") {
        let folder = folder.expect("a folder").path();
        let target = folder.file_name().and_then(|name| name.to_str());
        let target = target.expect("a name in UTF-8");
        assert!(
            TARGETS.iter().any(|known| known.name == target),
            "{} is named after no target",
            folder.display()
        );
        for find in fs::read_dir(&folder).expect("finds") {
            let find = find.expect("a find").path();
            let input = fs::read(&find).expect("a file");
            println!("{}", find.display());
            let started = Instant::now();
            check(target, &input);
            let taken = started.elapsed();
            assert!(taken < PATIENCE, "{} took {taken:?}", find.display());
            checked += 1;
        }
    }
    assert!(checked > 0, "no finds in {}", finds.display());
}

#[test]
fn every_target_has_its_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest");
    for target in TARGETS {
        let source = fuzz.join(format!("fuzz_targets/{}.rs", target.name));
        let source = fs::read_to_string(&source).expect("a fuzz target");
        assert!(source.contains(&format!("\"{}\"", target.name)));
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)));
    }
}
