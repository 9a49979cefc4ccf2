//! The archive: payloads kept for the repair of a parser (O6). It keeps every payload that was rejected or in breach,
//! and the first few of each page in a month. Files are compressed with gzip and named by the hash of the payload.
//! Their total size is limited; the oldest are deleted first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::{Compression, GzBuilder};
use jiff::civil::Date;
use parking_lot::Mutex;
use schema::SourceName;
use sha2::{Digest, Sha256};

/// Number of successfully parsed payloads kept of each (source, page) in a month.
pub const SAMPLES_A_MONTH: usize = 5;

/// The archive of a run, shared by all sources. Its functions block the thread, except [`Archive::may_want`].
#[derive(Debug)]
pub struct Archive {
    directory: PathBuf,
    limit_bytes: u64,
    shelf: Mutex<Shelf>,
}

/// The index of the archived files.
#[derive(Debug, Default)]
struct Shelf {
    /// By age and path: the first is the oldest.
    by_age: BTreeSet<(SystemTime, PathBuf)>,
    files: BTreeMap<PathBuf, (SystemTime, u64)>,
    bytes: u64,
}

/// The reason why a payload is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The page did not meet its contract, or one of its records could not be parsed.
    Rejected,
    /// The page was parsed successfully and is one of the first of its month.
    Sample,
}

/// The origin of a payload.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'task> {
    /// The requested source.
    pub source: SourceName,
    /// The page's name.
    pub page: &'task str,
    /// The requested URL, stored in the header of the file.
    pub url: &'task str,
    /// The cycle date: it determines the month.
    pub cycle_date: Date,
}

impl Archive {
    /// Opens or creates the archive. The limit `limit_bytes` includes the files that are already in it.
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub fn open(directory: &Path, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut shelf = Shelf::default();
        shelf.take_stock(directory, 0)?;
        let archive = Self {
            directory: directory.to_owned(),
            limit_bytes,
            shelf: Mutex::new(shelf),
        };
        archive.make_room(&mut archive.shelf.lock(), 0);
        Ok(archive)
    }

    /// Stores `body` and returns its path. Returns `None` for a sample beyond [`SAMPLES_A_MONTH`], and for a payload
    /// larger than the whole archive. The same payload is stored once.
    ///
    /// # Errors
    /// The disk is full or not writable.
    pub fn keep(
        &self,
        kept: Kept,
        of: &Provenance<'_>,
        body: &[u8],
    ) -> io::Result<Option<PathBuf>> {
        let mut shelf = self.shelf.lock();
        let folder = self.folder(kept, of);
        if kept == Kept::Sample && shelf.count_in(&folder) >= SAMPLES_A_MONTH {
            return Ok(None);
        }
        let path = folder.join(format!("{}.gz", hex(&Sha256::digest(body))));
        if shelf.files.contains_key(&path) {
            return Ok(Some(path));
        }
        let compressed = compress(of.url, body)?;
        let size = compressed.len() as u64;
        if size > self.limit_bytes {
            return Ok(None);
        }
        self.make_room(&mut shelf, size);
        fs::create_dir_all(&folder)?;
        // Rename a finished temporary file, so that an interrupted write leaves no partial payload.
        let mut file = tempfile::Builder::new()
            .prefix(".writing-")
            .tempfile_in(&folder)?;
        file.write_all(&compressed)?;
        file.persist(&path).map_err(|error| error.error)?;
        shelf.put(path.clone(), SystemTime::now(), size);
        Ok(Some(path))
    }

    /// Whether [`Archive::keep`] is worth a blocking thread: `false` for a sample if the page already has enough in
    /// this month. Never blocks.
    #[must_use]
    pub fn may_want(&self, kept: Kept, of: &Provenance<'_>) -> bool {
        match (kept, self.shelf.try_lock()) {
            (Kept::Sample, Some(shelf)) => shelf.count_in(&self.folder(kept, of)) < SAMPLES_A_MONTH,
            _ => true,
        }
    }

    fn folder(&self, kept: Kept, of: &Provenance<'_>) -> PathBuf {
        let kind = match kept {
            Kept::Rejected => "rejected",
            Kept::Sample => "sample",
        };
        let month = of.cycle_date.strftime("%Y-%m");
        self.directory
            .join(of.source.as_str())
            .join(of.page)
            .join(format!("{month}-{kind}"))
    }

    fn make_room(&self, shelf: &mut Shelf, wanted: u64) {
        while shelf.bytes + wanted > self.limit_bytes {
            let Some((age, path)) = shelf.by_age.pop_first() else {
                return;
            };
            if let Some((_, size)) = shelf.files.remove(&path) {
                shelf.bytes -= size;
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), ?age, %error, "an archived payload could not be removed");
            }
        }
    }
}

impl Shelf {
    /// Adds the files below `directory` to the index. The archive is three levels deep.
    fn take_stock(&mut self, directory: &Path, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let path = entry.path();
            if metadata.is_dir() && depth < 3 {
                self.take_stock(&path, depth + 1)?;
            } else if metadata.is_file() && path.extension().is_some_and(|end| end == "gz") {
                self.put(path, metadata.modified()?, metadata.len());
            }
        }
        Ok(())
    }

    fn put(&mut self, path: PathBuf, age: SystemTime, size: u64) {
        self.by_age.insert((age, path.clone()));
        self.files.insert(path, (age, size));
        self.bytes += size;
    }

    fn count_in(&self, folder: &Path) -> usize {
        self.files
            .range(folder.to_owned()..)
            .take_while(|(path, _)| path.starts_with(folder))
            .count()
    }
}

fn compress(url: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let comment: Vec<u8> = url.bytes().filter(|byte| *byte != 0).collect();
    let mut encoder = GzBuilder::new()
        .comment(comment)
        .write(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads an archived payload.
///
/// # Errors
/// The file does not exist or is not gzip.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    io::copy(
        &mut flate2::read::GzDecoder::new(File::open(path)?),
        &mut body,
    )?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(page: &str, month: i8) -> Provenance<'_> {
        Provenance {
            source: SourceName::Finnomena,
            page,
            url: "https://site.th/x",
            cycle_date: Date::constant(2026, month, 3),
        }
    }

    /// Bytes that do not compress.
    fn noise(seed: u8, length: usize) -> Vec<u8> {
        let mut state = Sha256::digest([seed]);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            bytes.extend_from_slice(&state);
            state = Sha256::digest(state);
        }
        bytes
    }

    #[test]
    fn o6_rejected_payloads_are_kept_once_and_come_back_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = Archive::open(directory.path(), 1_000_000).expect("opened");
        let keep = || archive.keep(Kept::Rejected, &of("nav", 11), b"{broken");
        let path = keep().expect("kept").expect("wanted");
        assert_eq!(keep().expect("kept"), Some(path.clone()));
        assert_eq!(read(&path).expect("read"), b"{broken");
        assert_eq!(archive.shelf.lock().files.len(), 1);
    }

    #[test]
    fn o6_the_first_five_of_each_page_a_month_survive_a_restart_of_the_count() {
        let directory = tempfile::tempdir().expect("a directory");
        for round in 0..2_u8 {
            let archive = Archive::open(directory.path(), 1_000_000).expect("opened");
            for index in 0..7_u8 {
                let body = [round, index];
                let may_be = archive.may_want(Kept::Sample, &of("nav", 11));
                let kept = archive
                    .keep(Kept::Sample, &of("nav", 11), &body)
                    .expect("kept");
                assert_eq!(kept.is_some(), round == 0 && index < 5);
                assert_eq!(
                    kept.is_some(),
                    may_be,
                    "a thread is started for what is wanted alone"
                );
                assert!(archive.may_want(Kept::Rejected, &of("nav", 11)));
            }
            let next_month = archive
                .keep(Kept::Sample, &of("nav", 12), &[round])
                .expect("kept");
            assert!(next_month.is_some());
            let other_page = archive
                .keep(Kept::Sample, &of("nav2", 11), &[round])
                .expect("kept");
            assert!(other_page.is_some());
        }
    }

    #[test]
    fn o6_the_archive_is_bounded_and_the_oldest_go_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let archive = Archive::open(directory.path(), 10_000).expect("opened");
        let mut paths = Vec::new();
        for seed in 0..5 {
            let kept = archive.keep(Kept::Rejected, &of("nav", 11), &noise(seed, 3_000));
            paths.push(kept.expect("kept").expect("wanted"));
        }
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [false, false, true, true, true]);
        assert!(archive.shelf.lock().bytes <= 10_000);
        let too_large = archive.keep(Kept::Rejected, &of("nav", 11), &noise(9, 20_000));
        assert_eq!(too_large.expect("no error"), None);
        let smaller = Archive::open(directory.path(), 4_000).expect("opened");
        assert_eq!(smaller.shelf.lock().files.len(), 1);
    }
}
