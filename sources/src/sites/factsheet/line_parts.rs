//! Splits a line of `pdftotext -layout`, which separates columns by several spaces, into cells and into runs of
//! characters.

/// The longest runs of characters for which `part` is true, with their positions.
pub fn tokens(line: &str, part: fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + line[rest..].find(part)?;
        let end = line[start..]
            .find(|c| !part(c))
            .map_or(line.len(), |length| start + length);
        rest = end;
        Some((start, &line[start..end]))
    })
}

/// The cells of a line, separated by two or more spaces, a tab, `|` or `:`.
pub fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(['\t', '|', ':'])
        .flat_map(|part| part.split("  "))
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
}

/// Whether a part of a line is a separate cell: two spaces, a tab, `|` or the end of the line on either side.
pub fn is_whole_cell(line: &str, start: usize, end: usize) -> bool {
    let (before, behind) = (&line[..start], &line[end..]);
    let opens = before.trim().is_empty() || before.ends_with("  ") || before.ends_with(['\t', '|']);
    let closes =
        behind.trim().is_empty() || behind.starts_with("  ") || behind.starts_with(['\t', '|']);
    opens && closes
}
