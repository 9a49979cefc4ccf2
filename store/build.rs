//! Rebuilds the crate when the list of migrations changes.
//!
//! `refinery::embed_migrations!` reads the folder when it is expanded. Cargo does not know about files that are added
//! later.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../schema/migrations");
}
