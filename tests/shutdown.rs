//! A stop (SIGTERM, SIGINT) at any moment. The run ends within the deadline with the correct exit code, keeps
//! everything that was acknowledged and leaves no process behind. The same command then resumes and reaches the truth
//! (A6, D1).

mod blocked;
mod commands;
mod early;
mod moments;
pub mod running;
pub mod waiting;
