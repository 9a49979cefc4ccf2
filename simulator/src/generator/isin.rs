//! ISINs.

/// The check digit of ISO 6166: letters become two digits, and every second digit from the right is doubled.
pub(crate) fn isin_check_digit(body: &str) -> u32 {
    let digits: Vec<u32> = body
        .chars()
        .filter_map(|letter| letter.to_digit(36))
        .flat_map(|value| {
            if value < 10 {
                vec![value]
            } else {
                vec![value / 10, value % 10]
            }
        })
        .collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            if place % 2 == 0 {
                digit * 2 / 10 + digit * 2 % 10
            } else {
                *digit
            }
        })
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_digits_are_those_of_known_isins() {
        assert_eq!(super::isin_check_digit("US037833100"), 5);
        assert_eq!(super::isin_check_digit("AU0000XVGZA"), 3);
    }
}
