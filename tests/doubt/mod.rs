//! A living market with one cycle a day, and the tables after each cycle.
//!
//! Changes of single funds in an undisturbed market raise no doubt. A mass change is not believed (D11): none of its
//! values reaches the seven tables.

mod accepting;
mod living_market;
mod mass_changes;
mod undisturbed;
