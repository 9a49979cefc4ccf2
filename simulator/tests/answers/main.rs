//! Tests of the simulator's answers. They share one test binary because linking takes most of the time: one binary
//! links in a quarter of the time that four would need.

mod captures;
mod edge_cases;
mod hosts;
mod market;
mod register;
mod reported;
mod support;
