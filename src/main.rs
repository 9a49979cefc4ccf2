//! The program. Exits with the exit code of [`master_runner::program::run_program`].

fn main() {
    // `exit` instead of returning: dropping the runtime would wait for blocking threads that still read or resolve a
    // name, beyond every deadline (A6).
    std::process::exit(i32::from(master_runner::program::run_program()));
}
