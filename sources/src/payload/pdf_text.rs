//! Extracts the text of a PDF with `pdftotext -layout` (package poppler-utils), the most exact tool for Thai
//! factsheets.
//!
//! The program runs as a child process on possibly hostile input, without a shell and with a clean environment. Input,
//! output and time are limited, and the child is killed when the time is over. The caller is the blocking thread that
//! parses answers.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The maximum size of a PDF, in bytes.
pub const MAX_PDF_BYTES: usize = 30 * 1024 * 1024;
/// The maximum size of the text of one PDF, in bytes.
const MAX_TEXT_BYTES: u64 = 4 * 1024 * 1024;
/// The maximum number of pages that are read; a factsheet has two to six.
const MAX_PAGES: &str = "40";
/// How long one PDF may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The reason why no text could be extracted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfTextError {
    /// The program is not installed.
    #[error("pdftotext is not installed; factsheets need it: apt-get install poppler-utils")]
    NotInstalled,
    /// The operating system refused to run the program.
    #[error("pdftotext could not be run: {0}")]
    NotRun(String),
    /// The program took too long and was killed.
    #[error("pdftotext took longer than {} s and was killed", PATIENCE.as_secs())]
    TooSlow,
    /// The PDF is damaged, encrypted or too large.
    #[error("the PDF cannot be read: {0}")]
    Unreadable(String),
}

/// Whether a body is a PDF: it begins with `%PDF`, after an optional UTF-8 byte order mark and white space.
#[must_use]
pub fn is_pdf(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().starts_with(b"%PDF")
}

/// The text of a PDF in its layout, with columns separated by several spaces.
///
/// # Errors
/// See [`PdfTextError`]. Its first three variants are faults of this machine, the last one is a fault of the document.
pub fn of(pdf: &[u8]) -> Result<String, PdfTextError> {
    of_by("pdftotext", pdf, PATIENCE)
}

fn of_by(program: &str, pdf: &[u8], patience: Duration) -> Result<String, PdfTextError> {
    if pdf.len() > MAX_PDF_BYTES {
        return Err(PdfTextError::Unreadable(format!(
            "it has {} bytes",
            pdf.len()
        )));
    }
    let mut command = Command::new(program);
    command
        .args(["-layout", "-enc", "UTF-8", "-l", MAX_PAGES, "-", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => PdfTextError::NotInstalled,
        _ => PdfTextError::NotRun(error.to_string()),
    })?;
    let text = talk(&mut child, pdf, patience);
    // Kill and reap the child in every case; an error only means that it has ended already.
    let _ = child.kill();
    let status = child
        .wait()
        .map_err(|error| PdfTextError::NotRun(error.to_string()))?;
    let text = text?;
    // A child that was killed after its output was complete is treated as successful: all of its output was read.
    match status.code() {
        Some(0) | None => Ok(String::from_utf8_lossy(&text).into_owned()),
        Some(code) => Err(PdfTextError::Unreadable(format!(
            "pdftotext ended with code {code}"
        ))),
    }
}

/// Writes to the child and reads from it at the same time, so that a full pipe in one direction does not block the
/// other.
fn talk(child: &mut Child, pdf: &[u8], patience: Duration) -> Result<Vec<u8>, PdfTextError> {
    let missing_pipe = || PdfTextError::NotRun("it has no pipes".to_owned());
    let mut stdin = child.stdin.take().ok_or_else(missing_pipe)?;
    let stdout = child.stdout.take().ok_or_else(missing_pipe)?;
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A child may close its input early; its output and exit code decide.
            let _ = stdin.write_all(pdf);
        });
        scope.spawn(move || {
            let mut text = Vec::new();
            let read = stdout.take(MAX_TEXT_BYTES + 1).read_to_end(&mut text);
            let _ = sender.send(read.map(|_| text));
        });
        let answer = receiver.recv_timeout(patience);
        let outcome = match answer {
            Ok(Ok(text)) if text.len() as u64 > MAX_TEXT_BYTES => Err(PdfTextError::Unreadable(
                "its text is longer than 4 MB".to_owned(),
            )),
            Ok(Ok(text)) => {
                // The output has ended, so the child is about to exit; its exit code shows whether the PDF is damaged.
                for _ in 0..200 {
                    if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(text)
            }
            Ok(Err(error)) => Err(PdfTextError::NotRun(error.to_string())),
            Err(_) => Err(PdfTextError::TooSlow),
        };
        // Both threads use a pipe of the child, so they end when the child ends.
        let _ = child.kill();
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = of_by("no-such-pdftotext", b"%PDF-1.4", PATIENCE).expect_err("not installed");
        assert_eq!(error, PdfTextError::NotInstalled);
        assert!(error.to_string().contains("poppler-utils"));
    }

    #[test]
    fn a_damaged_pdf_is_the_documents_fault() {
        assert!(matches!(
            of(b"%PDF-1.4 rubbish"),
            Err(PdfTextError::Unreadable(_))
        ));
    }

    #[test]
    fn a_reader_that_hangs_is_killed() {
        let hanging = tempfile::tempdir().expect("a folder");
        let program = hanging.path().join("hang");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").expect("a script");
        let mut permissions = std::fs::metadata(&program).expect("a script").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o700);
        std::fs::set_permissions(&program, permissions).expect("a script");
        let started = std::time::Instant::now();
        let hung = of_by(
            &program.to_string_lossy(),
            &[b'x'; 1_000_000],
            Duration::from_millis(200),
        );
        assert_eq!(hung, Err(PdfTextError::TooSlow));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn only_a_body_that_begins_so_is_a_pdf() {
        assert!(is_pdf(b"%PDF-1.7\n"));
        assert!(is_pdf(b"\n %PDF-1.7\n"));
        assert!(!is_pdf(b"<html>%PDF-1.7</html>"));
        assert!(!is_pdf(b""));
    }
}
