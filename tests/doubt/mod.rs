//! A market that lives from day to day, a cycle for each day, and what the tables hold after each.
//!
//! An undisturbed market raises no doubt, whatever happens to single funds. A whole market that changes at one stroke is not
//! believed (D11): none of its values reaches the seven tables.

mod accepting;
mod living_market;
mod mass_changes;
mod undisturbed;
