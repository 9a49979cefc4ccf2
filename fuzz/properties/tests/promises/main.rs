//! The promises of the parsers without a fuzzer: over what fuzzing has found, and over seeded mutations of the replica's
//! pages.
#![forbid(unsafe_code)]

mod finds;
mod mutations;
mod mutator;
mod seeds;
