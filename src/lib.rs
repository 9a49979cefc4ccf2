//! The runner: command line, configuration, schedule, cycles, progress display. The actors, the sites, the
//! warehouse and the private PostgreSQL server are crates of their own (docs/architecture.md).

pub mod cli;
pub mod clock;
pub mod commands;
pub mod cycle;
pub mod cycle_plan;
pub mod cycle_report;
pub mod descriptors;
pub mod fetch_order;
pub mod output;
pub mod program;
pub mod progress;
pub mod psql;
pub mod run;
pub mod runner_config;
pub mod runner_settings;
pub mod schedule;
pub mod scheduler;
pub mod secret;
pub mod sites;
pub mod standby;
pub mod stop_signals;
pub mod throughput;
pub mod warehouse;
