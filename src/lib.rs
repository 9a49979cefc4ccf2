//! How it is run: command line, configuration, schedule, cycles, embedded PostgreSQL, progress.

pub mod cli;
pub mod cycle;
pub mod cycle_plan;
pub mod cycle_report;
pub mod progress;
pub mod schedule;
