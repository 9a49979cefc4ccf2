//! How it is run: command line, configuration, schedule, cycles, embedded PostgreSQL, progress.

pub mod cycle;
pub mod cycle_plan;
pub mod cycle_report;
