//! Words for the fund that a feeder fund invests in. The codes of that fund are never the feeder's own.

/// The words, in lower case.
const MASTER: [&str; 7] = [
    "master fund",
    "masterfund",
    "underlying fund",
    "target fund",
    "กองทุนหลัก",
    "กองทุนรวมหลัก",
    "กองทุนปลายทาง",
];

/// Whether a text, in lower case, mentions the master fund.
pub fn is_mentioned(lower: &str) -> bool {
    MASTER.iter().any(|word| lower.contains(word))
}

/// Whether a line is only the heading of a section about the master fund.
pub fn is_heading(line: &str) -> bool {
    let mut rest = line.trim().to_lowercase();
    if !is_mentioned(&rest) {
        return false;
    }
    for word in MASTER
        .iter()
        .rev()
        .chain(&["information", "details", "ข้อมูล", "'s", "’s"])
    {
        rest = rest.replace(word, "");
    }
    rest.chars().all(|c| !c.is_alphanumeric())
}
