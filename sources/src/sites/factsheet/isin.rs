//! The form and the check digit of an International Securities Identification Number (ISO 6166): two letters, nine
//! letters or digits, one check digit. Which ISIN of a factsheet is the fund's own is decided in [`super::own_codes`].

/// Whether `text` has the form of an ISIN.
#[must_use]
pub fn has_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 12
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..11]
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && bytes[11].is_ascii_digit()
}

/// Whether `text` has the form of an ISIN and a correct check digit (letters are replaced by 10 to 35; then the Luhn
/// algorithm from the right).
#[must_use]
pub fn is_valid(text: &str) -> bool {
    if !has_shape(text) {
        return false;
    }
    let mut digits = Vec::with_capacity(24);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits.push(u32::from(byte - b'0')),
            letter => {
                let value = u32::from(letter - b'A') + 10;
                digits.extend([value / 10, value % 10]);
            }
        }
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_right_check_digit_makes_an_isin() {
        // Published examples of the standard.
        for valid in [
            "US0378331005",
            "AU0000XVGZA3",
            "GB0002634946",
            "US5949181045",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for wrong in [
            "US0378331006",
            "US0378331050",
            "us0378331005",
            "US037833100",
            "US03783310055",
            "T10378331005",
            "",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_single_wrong_digit_is_found() {
        for place in 2..12 {
            let mut bytes = *b"US0378331005";
            bytes[place] = if bytes[place] == b'9' {
                b'0'
            } else {
                bytes[place] + 1
            };
            let wrong = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!is_valid(&wrong), "{wrong}");
        }
    }
}
