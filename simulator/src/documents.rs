//! The documents host: factsheets as valid PDFs, written object by object.

use std::fmt::Write as _;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::html;
use crate::market::{Factsheet, FactsheetAnswer, Fund};
use crate::site::{Answer, Asked, World};

/// The content type of a factsheet.
pub(crate) const PDF: &str = "application/pdf";

pub(crate) fn answer(world: &World, asked: &Asked) -> Answer {
    let market = world.market();
    let path = asked.path_and_query.as_str();
    let names = |sheet: &Factsheet| {
        [
            &sheet.finnomena_path,
            &sheet.wealthmagik_path,
            &sheet.register_path,
        ]
        .into_iter()
        .flatten()
        .any(|own| own == path)
    };
    let Some(fund) = market.funds.iter().find(|fund| names(&fund.factsheet)) else {
        return Answer::not_found();
    };
    match fund.factsheet.answer {
        FactsheetAnswer::Pdf => Answer {
            status: 200,
            content_type: PDF,
            body: pdf(&lines(fund)),
        },
        FactsheetAnswer::NotFound => Answer::not_found(),
        FactsheetAnswer::Html => Answer::html(200, html::error_page(200)),
    }
}

fn lines(fund: &Fund) -> Vec<String> {
    let sheet = &fund.factsheet;
    let mut lines = vec![
        "Fund Factsheet".to_owned(),
        format!("Fund : {}", fund.code),
        format!("Project {}", fund.proj_id),
    ];
    lines.extend(
        sheet
            .wrong_isin
            .as_ref()
            .map(|wrong| format!("Reference {wrong}")),
    );
    lines.extend(
        sheet
            .isin
            .as_ref()
            .map(|isin| format!("ISIN Code : {isin}")),
    );
    lines.extend(
        sheet
            .bloomberg
            .as_ref()
            .map(|code| bloomberg_line(code, fund.code.len())),
    );
    if sheet.prints_other_codes {
        lines.push(
            "Master Fund's Bloomberg Ticker QQQ:US   Master Fund ISIN : US0378331005".to_owned(),
        );
        lines.push("ISIN code (class ZZ) : TH0000000008".to_owned());
    }
    lines.push("Front-end fee 1.50 %   Back-end fee 0.00 %".to_owned());
    lines
}

/// The line of a Bloomberg code, in one of the forms that asset managers print.
fn bloomberg_line(code: &str, kind: usize) -> String {
    match kind % 3 {
        0 => format!("Bloomberg Code : {code}"),
        1 => format!("Bloomberg Ticker : {}", code.replace(' ', ":")),
        _ => format!("Bloomberg Code : {code} Equity"),
    }
}

/// A one-page PDF with lines of text in Helvetica and a compressed content stream.
fn pdf(lines: &[String]) -> Vec<u8> {
    let mut text = String::from("BT /F1 11 Tf 16 TL 56 780 Td\n");
    for line in lines {
        let _ = writeln!(text, "({}) Tj T*", literal(line));
    }
    text.push_str("ET\n");
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let content = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("writing into memory succeeds");
    let objects: [Vec<u8>; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>".to_vec(),
        [format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", content.len()).into_bytes(), content, b"\nendstream".to_vec()].concat(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(objects) {
        offsets.push(file.len());
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(&object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let start = file.len();
    let mut tail = format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    for offset in &offsets {
        let _ = writeln!(tail, "{offset:010} 00000 n ");
    }
    let _ = write!(
        tail,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        offsets.len() + 1
    );
    file.extend_from_slice(tail.as_bytes());
    file
}

/// A PDF string: parentheses and backslashes are escaped, characters that Helvetica lacks are replaced.
fn literal(line: &str) -> String {
    line.chars()
        .map(|letter| match letter {
            '(' | ')' | '\\' => format!("\\{letter}"),
            ' '..='~' => letter.to_string(),
            _ => "?".to_owned(),
        })
        .collect()
}
