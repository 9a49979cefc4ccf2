//! The real Firefox, end to end: pages that exist only after JavaScript, sites that refuse other clients, and nothing
//! of a browser left behind, however a run ends.

mod ended_processes;
mod grid;
mod leftovers;
mod machine;
mod nothing;
mod pages;
mod side_by_side;
mod traps;
mod unusable;
mod without;
