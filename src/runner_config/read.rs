//! Reads the configuration file. Errors are reported with line and column, key path and the allowed values (O1).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use ron::extensions::Extensions;

use super::RunnerConfig;
use crate::secret::without_passwords;

/// Maximum size of the file in bytes; a complete one has about 5,000.
const MAX_BYTES: u64 = 1024 * 1024;
/// Maximum length of an error description, in characters.
const MAX_REASON: usize = 1_000;
/// Maximum number of wrong values in one message.
const MAX_SHOWN: usize = 50;

/// The reason why the configuration cannot be used. Nothing has been started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; `--config FILE` names another one", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not a valid configuration.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was found and what is allowed.
        reason: String,
    },
    /// The text is valid, but contains wrong values.
    #[error("{}", listed(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Every wrong value.
        problems: Vec<Problem>,
    },
}

/// One wrong value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {found}; expected {expected}")]
pub struct Problem {
    /// The path of the key, such as `sources.finnomena.base_url`.
    pub key: String,
    /// The value found, without secrets.
    pub found: String,
    /// The expected value.
    pub expected: String,
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let values = if problems.len() == 1 {
        "value is"
    } else {
        "values are"
    };
    let mut text = format!("{}: {} {values} wrong:", path.display(), problems.len());
    for problem in problems.iter().take(MAX_SHOWN) {
        text.push_str(&format!("\n  {problem}"));
    }
    if let Some(more @ 1..) = problems.len().checked_sub(MAX_SHOWN) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

impl RunnerConfig {
    /// Reads `path`. Because every key may be omitted, a missing file is an error only if `named`, which means that the
    /// command line names the file.
    ///
    /// # Errors
    /// The file or its text cannot be read.
    pub fn load(path: &Path, named: bool) -> Result<Self, ConfigError> {
        match read_bounded(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::File {
                path: path.to_path_buf(),
                source,
            }),
        }
    }

    /// Parses the text of `path`.
    ///
    /// # Errors
    /// The first place that is not RON, an unknown key, or a value of another type.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // Windows editors begin UTF-8 files with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        ron::Options::default()
            .with_default_extension(Extensions::IMPLICIT_SOME)
            .from_str(text)
            .map_err(|error| unreadable(path, text, &error))
    }
}

/// Reads a file up to the maximum size, because a file such as `/dev/zero` has no end.
fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_BYTES {
        let reason = format!("it is larger than {MAX_BYTES} bytes, which no configuration is");
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            reason,
        ));
    }
    text_of(bytes).map_err(|reason| std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
}

/// Decodes a file as UTF-8. The error names the detected encoding, or the position of the first invalid byte.
fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    // UTF-32 first: its little-endian mark begins with that of UTF-16. A file without a mark begins with an ASCII
    // character, whose other bytes are 0 in these encodings.
    let encoding = match *bytes {
        [0xFF, 0xFE, 0, 0, ..]
        | [0, 0, 0xFE, 0xFF, ..]
        | [0, 0, 0, 1..=0x7F, ..]
        | [1..=0x7F, 0, 0, 0, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 1..=0x7F, ..] | [1..=0x7F, 0, ..] => {
            Some("UTF-16")
        }
        _ => None,
    };
    if let Some(encoding) = encoding {
        return Err(format!(
            "it is encoded in {encoding}, expected UTF-8; save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8)"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text; save the file as UTF-8")
    })
}

fn unreadable(path: &Path, text: &str, error: &ron::error::SpannedError) -> ConfigError {
    let place = error.span.end;
    let (mut keys, current) = keys_to(text, place.line, place.col);
    let reason = match &error.code {
        ron::Error::NoSuchStructField {
            expected, found, ..
        } => {
            keys.push(found.clone());
            let nearest = nearest(found, expected)
                .map(|key| format!("did you mean `{key}`? "))
                .unwrap_or_default();
            format!(
                "unknown key `{}`; {nearest}Allowed here: {}",
                joined(&keys),
                expected.join(", ")
            )
        }
        ron::Error::NoSuchEnumVariant {
            expected, found, ..
        } => {
            keys.extend(current);
            format!(
                "{} is `{found}`; allowed: {}",
                named(&keys),
                expected.join(", ")
            )
        }
        ron::Error::DuplicateStructField { field, .. } => {
            keys.push((*field).to_owned());
            format!("the key `{}` appears a second time", joined(&keys))
        }
        other => {
            keys.extend(current);
            let missed = without_passwords(&other.to_string());
            format!("{}: {missed}{}", named(&keys), allowed_at(&keys))
        }
    };
    ConfigError::Unreadable {
        path: path.to_path_buf(),
        line: place.line,
        column: place.col,
        reason: reason.chars().take(MAX_REASON).collect(),
    }
}

fn named(keys: &[String]) -> String {
    if keys.is_empty() {
        "the file".to_owned()
    } else {
        format!("`{}`", joined(keys))
    }
}

fn joined(keys: &[String]) -> String {
    keys.join(".").replace(".[", "[")
}

/// The allowed values at a place where the parser only reports which character it expected.
fn allowed_at(keys: &[String]) -> &'static str {
    match joined(keys).as_str() {
        "" => "; the file is one (key: value, …)",
        "database" => {
            "; allowed: Embedded(data_dir: \"…\"), Url(\"postgres://user@host/database\")"
        }
        key if key.starts_with("precedence") => {
            "; allowed: {\"table\": [\"source\", …], \"table.column\": [\"source\", …]}"
        }
        "browser.webdriver" => "; allowed: Managed, Url(\"http://host:4444\")",
        key if key.starts_with("patience.host_back_off_secs")
            || key.starts_with("supervision.restart_delay_secs") =>
        {
            "; allowed: two numbers of seconds, (first, longest)"
        }
        _ => "",
    }
}

/// The allowed key that was probably meant.
fn nearest<'key>(found: &str, allowed: &[&'key str]) -> Option<&'key str> {
    // No key is this long. A longer text is not a typing error, and the comparison takes time quadratic in the length.
    if found.len() > 100 {
        return None;
    }
    let found = found.to_lowercase();
    allowed
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&found, key), *key))
        .min()
        .filter(|(distance, key)| *distance * 2 <= key.len())
        .map(|(_, key)| key)
}

/// An open bracket before the place.
enum Open {
    Fields(Option<String>),
    /// The key in quotes and brackets, such as `["funds_fee"]`.
    Map(Option<String>),
    List(usize),
}

/// The keys that lead to a place, and separately the key at the place. ron itself reports only line and column.
fn keys_to(text: &str, line: usize, column: usize) -> (Vec<String>, Option<String>) {
    let before: String = text
        .lines()
        .take(line.saturating_sub(1))
        .flat_map(|line| line.chars().chain(['\n']))
        .chain(
            text.lines()
                .nth(line.saturating_sub(1))
                .unwrap_or_default()
                .chars()
                .take(column.saturating_sub(1)),
        )
        .collect();
    let mut open: Vec<Open> = Vec::new();
    let mut rest = before.as_str();
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '(' => open.push(Open::Fields(None)),
            '{' => open.push(Open::Map(None)),
            '[' => open.push(Open::List(0)),
            ')' | ']' | '}' => drop(open.pop()),
            ',' => match open.last_mut() {
                Some(Open::Fields(key) | Open::Map(key)) => *key = None,
                Some(Open::List(at)) => *at += 1,
                None => {}
            },
            '"' => {
                taken = quoted(rest);
                let colon = rest[taken..].trim_start().starts_with(':');
                if let (true, Some(Open::Map(key))) = (colon, open.last_mut()) {
                    *key = Some(format!("[{}]", &rest[..taken]));
                }
            }
            '/' if rest.starts_with("//") => taken = rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                taken = rest.find("*/").map_or(rest.len(), |end| end + 2);
            }
            c if c.is_alphabetic() || c == '_' => {
                let word = |c: char| c.is_alphanumeric() || c == '_';
                taken = rest.find(|c| !word(c)).unwrap_or(rest.len());
                let colon = rest[taken..].trim_start().starts_with(':');
                if let (true, Some(Open::Fields(key))) = (colon, open.last_mut()) {
                    *key = Some(rest[..taken].to_owned());
                }
            }
            _ => {}
        }
        rest = &rest[taken..];
    }
    let mut keys: Vec<String> = open
        .into_iter()
        .map(|open| match open {
            Open::Fields(key) | Open::Map(key) => key.unwrap_or_default(),
            Open::List(at) => format!("[{at}]"),
        })
        .collect();
    let current = keys.pop().filter(|key| !key.is_empty());
    keys.retain(|key| !key.is_empty());
    (keys, current)
}

/// The length of a quoted text with its quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use schema::SourceName;

    use super::*;

    fn said(text: &str) -> String {
        RunnerConfig::parse(Path::new("runner.ron"), text)
            .expect_err("unreadable")
            .to_string()
    }

    #[test]
    fn everything_may_be_left_out_at_any_depth() {
        let path = Path::new("runner.ron");
        assert_eq!(
            RunnerConfig::parse(path, "()").ok(),
            Some(RunnerConfig::default())
        );
        let deep = "(sources: (sec_fundcheck: (requests_per_sec: 0.5)), database: Embedded())";
        let mut expected = RunnerConfig::default();
        let fundcheck = expected.sources.0.get_mut(&SourceName::SecFundcheck);
        fundcheck.expect("a source").requests_per_sec = 0.5;
        assert_eq!(RunnerConfig::parse(path, deep).ok(), Some(expected));
    }

    #[test]
    fn a_file_that_is_not_there_matters_only_if_it_was_named() {
        let path = Path::new("/nowhere/runner.ron");
        assert_eq!(
            RunnerConfig::load(path, false).ok(),
            Some(RunnerConfig::default())
        );
        let error = RunnerConfig::load(path, true)
            .expect_err("named")
            .to_string();
        assert!(error.contains("/nowhere/runner.ron"), "{error}");
    }

    #[test]
    fn utf_8_with_a_byte_order_mark_is_read_and_other_encodings_are_named() {
        let text = "(\n    mode: 3, // โหมด\n)\n";
        let utf_16 = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            let marked = format!("{mark}{text}");
            marked.encode_utf16().flat_map(order).collect()
        };
        let utf_32 = |order: fn(u32) -> [u8; 4], mark: &str| -> Vec<u8> {
            let marked = format!("{mark}{text}");
            marked.chars().flat_map(|c| order(u32::from(c))).collect()
        };
        let mut latin = b"(\n mode: 3, // caf".to_vec();
        latin.extend([0xE9, b'\n', b')']);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("runner.ron");
        for (bytes, refused) in [
            (text.as_bytes().to_vec(), None),
            (format!("\u{feff}{text}").into_bytes(), None),
            (
                format!("\u{feff}{text}").replace('\n', "\r\n").into_bytes(),
                None,
            ),
            (utf_16(u16::to_le_bytes, "\u{feff}"), Some("UTF-16")),
            (utf_16(u16::to_be_bytes, "\u{feff}"), Some("UTF-16")),
            (utf_16(u16::to_le_bytes, ""), Some("UTF-16")),
            (utf_16(u16::to_be_bytes, ""), Some("UTF-16")),
            (utf_32(u32::to_le_bytes, "\u{feff}"), Some("UTF-32")),
            (utf_32(u32::to_be_bytes, ""), Some("UTF-32")),
            (latin, Some("line 2 is not UTF-8")),
        ] {
            std::fs::write(&path, bytes).expect("written");
            match (RunnerConfig::load(&path, true), refused) {
                (Ok(config), None) => {
                    assert_eq!(
                        config,
                        RunnerConfig::parse(&path, "(mode: 3)").expect("right")
                    );
                }
                (Err(error), Some(words)) => {
                    let said = error.to_string();
                    assert!(
                        said.contains(words) && said.contains("runner.ron"),
                        "{said}"
                    );
                }
                (found, refused) => panic!("{refused:?}: {found:?}"),
            }
        }
        // A byte order mark does not shift the position of an error.
        let place = said("\u{feff}(modus: 1)");
        assert!(place.starts_with("runner.ron:1:7"), "{place}");
    }

    #[test]
    fn a_file_without_end_is_refused_and_what_is_long_is_shown_bounded() {
        let endless = RunnerConfig::load(Path::new("/dev/zero"), true).expect_err("no end");
        assert!(endless.to_string().contains("1048576 bytes"), "{endless}");
        let long = "x".repeat(200_000);
        for text in [
            format!("({long}: 1)"),
            format!("(database: {long})"),
            format!("(mode: Hybrid, patience: \"{long}\")"),
            format!("{}{}", "(sources: ".repeat(100), long),
        ] {
            let said = said(&text);
            assert!(said.len() < 3_000, "{} bytes", said.len());
        }
        let problems = vec![
            Problem {
                key: "k".to_owned(),
                found: "f".to_owned(),
                expected: "e".to_owned(),
            };
            60
        ];
        let all = listed(Path::new("runner.ron"), &problems);
        assert!(all.ends_with("and 10 more"), "{all}");
    }

    #[test]
    fn an_unreadable_value_is_reported_with_its_place_path_and_the_allowed_values() {
        let broken = [
            "",
            "(\n    modus: 1,\n)",
            "(\n  sources: (\n    // polite\n    finnomena: (request_per_sec: 1.0),\n  ),\n)",
            "(sources: (finnomena: (requests_per_sec: \"fast\")))",
            "(sources: (sec_fundcheck: (factsheet_hosts: [])))",
            "(sources: (finnomena: (enabled: true, enabled: false)))",
            "(sources: (wealthmagick: (enabled: false)))",
            "(sources: [])",
            "(database: Embeded(data_dir: \"x\"))",
            "(database: Embedded(dir: \"x\"))",
            "(database: \"postgres://me:hunter2@host/db\")",
            "(database: Embedded(\"postgres://me:hunter2@host/db\"))",
            "(database: Url(\"postgres://me:hunter2@host/db\")",
            "(patience: (host_back_off_secs: (30, 600, 900)))",
            "(schedule: (holidays: [\"2026-01-01\", 5]))",
            "(schedule: (run_on_start: maybe))",
            "(browser: (sessions: 99999999999999999999))",
            "(precedence: [\"funds_fee\"])",
            "(precedence: {\"funds_fee\": \"finnomena\"})",
            "(precedence: {\"funds_fee\": [\"finnomena\"], \"funds_daily.bid\": [5,)",
            "(mode: 1, mode: 2)",
            "(mode: Hybrid) x",
        ]
        .map(|text| format!("{text}\n    -> {}", said(text)));
        let all = broken.join("\n");
        assert!(!all.replace("me:hunter2", "").contains("-> hunter2"));
        for text in &broken {
            let message = text.split("\n    -> ").last().expect("a message");
            assert!(!message.contains("hunter2"), "{message}");
        }
        insta::assert_snapshot!(all);
    }
}
