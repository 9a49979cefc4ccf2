//! Tests of the replica's answers. They share one test binary because linking takes most of the time: one binary links
//! in a quarter of the time that four would need.

mod awkward;
mod captures;
mod hosts;
mod market;
mod support;
