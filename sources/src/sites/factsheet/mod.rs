//! Factsheet PDFs, which several sources link to: builds their requests, extracts their text, and reads the fund's ISIN
//! and Bloomberg codes.
//!
//! | file | content |
//! |---|---|
//! | `isin.rs` | the form and the check digit of an ISIN |
//! | `ticker.rs` | the forms of a Bloomberg code |
//! | `codes_on_line.rs` | the codes on a line |
//! | `class_label.rs` | the share class that a label beside a code names |
//! | `fund_mention.rs` | whether a line names a fund |
//! | `master_fund.rs` | words and headings of the master fund |
//! | `owner.rs` | the fund or class to which a code belongs |
//! | `own_codes.rs` | the fund's own codes on a whole factsheet |
//! | `line_parts.rs` | cells and runs of characters of a line |

mod class_label;
mod codes_on_line;
mod fund_mention;
pub(super) mod isin;
mod line_parts;
mod master_fund;
mod own_codes;
mod owner;
mod ticker;

use schema::{Dataset, FundCode, ObservationData, PlannedTask, SourceName};
use url::Url;

use crate::payload::pdf_text::PdfTextError;
use crate::payload::{breach, pdf_text};
use crate::site::{Answer, ReadContext, Reading, Request};
use crate::sites::findings::Findings;
use crate::sites::locate;

/// The factsheets of one source.
#[derive(Debug, Clone)]
pub struct Factsheets {
    source: SourceName,
    own_host: Option<String>,
    hosts: Vec<String>,
}

impl Factsheets {
    /// Links may lead to the source's own host and to `hosts` (`name` or `name:port`).
    #[must_use]
    pub fn new(source: SourceName, base_url: &Url, hosts: Vec<String>) -> Self {
        Self {
            source,
            own_host: base_url.host_str().map(str::to_owned),
            hosts,
        }
    }

    /// The request for the PDF at the task's locator.
    ///
    /// # Errors
    /// The task has no locator, the locator is not a URL, or the configuration does not list its host.
    pub fn request(&self, task: &PlannedTask) -> Result<Request, String> {
        let link = locate::locator(task)?;
        let url = Url::parse(link)
            .map_err(|error| format!("{}: `{link}` is not a URL: {error}", task.id))?;
        if !matches!(url.scheme(), "http" | "https") || !self.allows(&url) {
            let host = url.host_str().unwrap_or("no host");
            return Err(format!(
                "{}: the factsheet link leads to {host}, which is not followed; if that is right, list it in runner.ron under sources.{}.factsheet_hosts",
                task.id, self.source
            ));
        }
        Ok(Request {
            url,
            post_json: None,
            headers: vec![("Accept", "application/pdf".to_owned())],
            secret_header: None,
            max_body_bytes: pdf_text::MAX_PDF_BYTES,
            must_end_in_html: false,
        })
    }

    fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let with_port = url
            .port_or_known_default()
            .map(|port| format!("{host}:{port}"));
        self.own_host.as_deref() == Some(host)
            || self.hosts.iter().any(|listed| {
                listed.eq_ignore_ascii_case(host)
                    || with_port
                        .as_deref()
                        .is_some_and(|with_port| listed.eq_ignore_ascii_case(with_port))
            })
    }

    /// Parses the codes of a PDF. A body that is not a PDF is an answer: the factsheet is absent (D6).
    #[must_use]
    pub fn read(&self, task: &PlannedTask, answer: &Answer, context: &ReadContext) -> Reading {
        let fund_code = match locate::fund_code(task) {
            Ok(fund_code) => fund_code,
            Err(reason) => return Reading::Broken(breach("key", "a fund code", &reason)),
        };
        if !pdf_text::is_pdf(&answer.body) {
            return Reading::Absent;
        }
        // Use the link as the source wrote it, not the requested URL: it becomes `factsheet_url`.
        let link = task
            .locator
            .clone()
            .unwrap_or_else(|| answer.url.to_string());
        match pdf_text::of(&answer.body) {
            Ok(text) => self.read_text(&text, &fund_code, link, context),
            // An unreadable PDF is a reject and not a failure, so it is not fetched again in every cycle.
            Err(error @ PdfTextError::Unreadable(_)) => {
                let mut findings = Findings::of_fund(self.source, fund_code, link, context);
                findings.reject(Dataset::Codes, "*", error.to_string(), "");
                findings.said()
            }
            Err(error) => Reading::Broken(breach(
                "factsheet",
                "pdftotext to read the PDF",
                &error.to_string(),
            )),
        }
    }

    /// Parses the codes of `fund_code` in the text of a PDF; `link` is its URL.
    #[must_use]
    pub fn read_text(
        &self,
        text: &str,
        fund_code: &FundCode,
        link: String,
        context: &ReadContext,
    ) -> Reading {
        let mut findings = Findings::of_fund(self.source, fund_code.clone(), link, context);
        let codes = own_codes::on_factsheet(text, fund_code, &mut findings);
        if codes.is_empty() {
            let length = format!("{} characters of text", text.chars().count());
            findings.note(
                Dataset::Codes,
                "*",
                "no ISIN or Bloomberg code was taken from the factsheet",
                &length,
            );
        } else {
            findings.say(None, ObservationData::Codes(codes));
        }
        findings.said()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::TaskId;

    fn task(link: Option<&str>) -> PlannedTask {
        PlannedTask {
            locator: link.map(str::to_owned),
            ..PlannedTask::new(TaskId {
                source: SourceName::Finnomena,
                page: "factsheet".to_owned(),
                key: "KFGTECH".to_owned(),
            })
        }
    }

    #[test]
    fn a_factsheet_link_is_followed_only_to_listed_hosts() {
        let base = Url::parse("https://www.finnomena.com").expect("a URL");
        let sheets = Factsheets::new(
            SourceName::Finnomena,
            &base,
            vec!["docs.example.org".to_owned(), "h:81".to_owned()],
        );
        for link in [
            "https://docs.example.org/a b.pdf",
            "https://WWW.finnomena.com/x.pdf",
            "http://h:81/x",
        ] {
            assert!(sheets.request(&task(Some(link))).is_ok(), "{link}");
        }
        for link in [
            "https://evil.example/x.pdf",
            "file:///etc/passwd",
            "http://h:82/x",
            "x.pdf",
            "https://docs.example.org.evil.example/",
        ] {
            assert!(sheets.request(&task(Some(link))).is_err(), "{link}");
        }
        let error = sheets
            .request(&task(Some("https://evil.example/x.pdf")))
            .expect_err("another host");
        assert!(
            error.contains("evil.example") && error.contains("factsheet_hosts"),
            "{error}"
        );
        assert!(sheets.request(&task(None)).is_err());
    }

    /// The smallest possible PDF of one page with these lines of Latin text.
    fn pdf(lines: &[&str]) -> Vec<u8> {
        let text: String = lines
            .iter()
            .map(|line| format!("({line}) Tj 0 -20 Td "))
            .collect();
        let content = format!("BT /F1 12 Tf 40 700 Td {text}ET");
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
            format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>".to_owned(),
        ];
        let mut pdf = "%PDF-1.4\n".to_owned();
        let mut places = Vec::new();
        for (number, object) in (1..).zip(&objects) {
            places.push(pdf.len());
            pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
        }
        let start = pdf.len();
        pdf.push_str("xref\n0 6\n0000000000 65535 f \n");
        for place in places {
            pdf.push_str(&format!("{place:010} 00000 n \n"));
        }
        pdf.push_str(&format!(
            "trailer << /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
        ));
        pdf.into_bytes()
    }

    fn read(body: Vec<u8>) -> Reading {
        let base = Url::parse("https://www.finnomena.com").expect("a URL");
        let link = "https://www.finnomena.com/a b.pdf";
        let answer = Answer {
            url: Url::parse(link).expect("a URL"),
            status: 200,
            content_type: None,
            body: body.into(),
            via: crate::site::Via::Http,
        };
        let context = ReadContext {
            cycle_date: jiff::civil::date(2026, 2, 16),
        };
        Factsheets::new(SourceName::Finnomena, &base, Vec::new()).read(
            &task(Some(link)),
            &answer,
            &context,
        )
    }

    #[test]
    fn codes_are_read_from_a_real_pdf_and_its_link_is_unchanged() {
        let Reading::Observed {
            observations,
            rejects,
            ..
        } = read(pdf(&[
            "ISIN Code : TH1234567895",
            "Bloomberg Code : KFGTECH TB",
        ]))
        else {
            panic!("expected codes");
        };
        assert!(rejects.is_empty(), "{rejects:?}");
        assert_eq!(observations[0].url, "https://www.finnomena.com/a b.pdf");
        let codes = crate::sites::asked::fields(observations[0].data.clone());
        assert_eq!(codes, ["ISIN=TH1234567895", "Bloomberg=KFGTECH TB"]);
    }

    #[test]
    fn what_is_no_pdf_is_absent_and_a_damaged_one_costs_itself() {
        assert_eq!(read(b"<html>not found</html>".to_vec()), Reading::Absent);
        assert_eq!(read(Vec::new()), Reading::Absent);
        let Reading::Observed {
            observations,
            rejects,
            ..
        } = read(b"%PDF-1.7 rubbish".to_vec())
        else {
            panic!("expected a reject");
        };
        assert!(observations.is_empty());
        assert_eq!(rejects.len(), 1);
    }
}
