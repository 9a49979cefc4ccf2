//! Integration tests of the store against a real PostgreSQL server.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod acknowledgement;
mod adoption;
mod altered_database;
mod appended;
mod credible;
mod cycles;
mod daily;
mod data_model;
mod doubts;
mod fund_status;
mod lineage;
mod market;
mod news;
mod order;
mod planning;
mod pooler;
mod precedence;
mod projects;
mod reading;
mod real_series;
mod register;
mod register_codes;
mod requests;
mod server;
mod small_tables;
mod standby;
mod tls;
mod warehouse_schema;
mod world;
