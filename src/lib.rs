//! The runner: command line, configuration, schedule, cycles, private PostgreSQL server, progress display. The actors,
//! the sites and the warehouse are crates of their own (docs/architecture.md).

pub mod cli;
pub mod clock;
pub mod commands;
pub mod cycle;
pub mod cycle_plan;
pub mod cycle_report;
pub mod descriptors;
pub mod embedded_postgres;
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
