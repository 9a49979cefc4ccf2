//! How it is run: command line, configuration, schedule, the private database.

pub mod embedded_postgres;
