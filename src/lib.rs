//! How it is run: command line, configuration, schedule, the private database.

pub mod cli;
pub mod embedded_postgres;
pub mod psql;
pub mod runner_config;
pub mod runner_settings;
pub mod schedule;
pub mod secret;
