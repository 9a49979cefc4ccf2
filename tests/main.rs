//! Tests of the whole program against the simulator, the real PostgreSQL and the real Firefox, one file for each
//! promise.
//!
//! They form one test binary, so that it is linked once and all tests share one database server.

mod browser;
mod clock;
mod commands;
mod database_faults;
mod doubt;
mod failures;
mod first_run;
mod histories;
mod house;
mod kill_anywhere;
mod legacy_errors;
mod lineage;
mod main_job;
mod modes_differ;
mod news;
mod operation;
mod output;
mod politeness;
mod precedence;
mod private_server;
mod proxies;
mod readme;
mod real_history;
mod register;
mod register_history;
mod register_kills;
mod register_late;
mod register_snapshots;
mod register_tables;
mod requests;
mod resume;
mod shutdown;
mod simulated_year;
mod site_faults;
mod source_sets;
mod standby;
mod world;
