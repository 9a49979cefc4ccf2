//! Checks and raises the limit of file descriptors. Each connection, pipe and file needs one; without this check a
//! limit that is too low would look like failures of the sites.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The minimum for connections to sites and database, the log, and a browser's pipes.
const LEAST: u64 = 128;
/// The soft limit is raised to this value if the hard limit allows it.
const WANTED: u64 = 1024;

/// Raises the soft limit if allowed, and returns the limit.
///
/// # Errors
/// The limit is still too low. The error is a message for the user.
pub fn ensure() -> Result<u64, String> {
    // A limit that cannot be read is not checked.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Ok(WANTED);
    };
    let raised = wanted(soft, hard);
    let limit = if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        raised
    } else {
        soft
    };
    judged(limit)
}

/// The soft limit to set.
fn wanted(soft: u64, hard: u64) -> u64 {
    soft.max(WANTED.min(hard))
}

fn judged(limit: u64) -> Result<u64, String> {
    if limit >= LEAST {
        return Ok(limit);
    }
    Err(format!(
        "this machine allows {limit} file descriptors, at least {LEAST} are needed; nothing was started; raise the limit with `ulimit -n 1024` (systemd: LimitNOFILE=1024; Docker: --ulimit nofile=1024)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_file_descriptors_are_named_with_the_remedy() {
        for (soft, hard, limit, enough) in [
            (1024, 4096, 1024, true),
            (65_536, 65_536, 65_536, true),
            (20, 4096, 1024, true),
            (200, 200, 200, true),
            (40, 40, 40, false),
            (20, 100, 100, false),
        ] {
            assert_eq!(wanted(soft, hard), limit);
            match judged(limit) {
                Ok(found) => assert!(enough && found == limit, "{soft} {hard}"),
                Err(why) => {
                    assert!(!enough, "{soft} {hard}");
                    assert!(
                        why.contains("file descriptors") && why.contains("ulimit -n"),
                        "{why}"
                    );
                }
            }
        }
    }
}
