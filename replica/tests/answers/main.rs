//! What the replica answers, in one test binary: each is linked with everything, and one is linked in a quarter of the time.

mod awkward;
mod captures;
mod hosts;
mod market;
mod support;
