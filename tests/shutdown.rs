//! A stop (SIGTERM, SIGINT) at any moment: it ends within the deadline with an honest exit code, loses nothing that was
//! acknowledged, leaves nothing running, and the same command goes on to the truth (A6, D1).

mod blocked;
mod commands;
mod early;
mod moments;
pub mod running;
pub mod waiting;
