//! End-to-end tests with the real Firefox: pages that exist only after JavaScript, sites that refuse other clients, and
//! the removal of all browser processes and files, however a run ends.

mod ended_processes;
mod grid;
mod in_page;
mod leftovers;
mod machine;
mod nothing;
mod pages;
mod side_by_side;
mod traps;
mod unusable;
mod without;
