//! Checks the parsers' promises without a fuzzer: on the finds of earlier fuzzing and on seeded mutations of the
//! simulator's pages.
#![forbid(unsafe_code)]

mod finds;
mod mutations;
mod mutator;
mod seeds;
