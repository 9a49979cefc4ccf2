//! The program: leaves with the exit code of [`master_runner::program::run_program`].

fn main() {
    // Leaving by `exit` rather than by return: dropping the runtime would wait for whatever still reads or resolves a
    // name in a blocking thread, beyond every deadline (A6).
    std::process::exit(i32::from(master_runner::program::run_program()));
}
