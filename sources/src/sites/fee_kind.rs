//! Maps fee descriptions, which Finnomena and the register write alike, to the fees of `funds_fee`.

use crate::text::name;

/// A fee of `funds_fee`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeeKind {
    /// Front-end.
    FrontEnd,
    /// Back-end.
    BackEnd,
    /// Management.
    Management,
    /// Total expense ratio.
    TotalExpense,
    /// Switching in.
    SwitchingIn,
    /// Switching out.
    SwitchingOut,
}

/// The meaning of a fee description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Description {
    /// A column of `funds_fee`.
    Is(FeeKind),
    /// Another fee.
    NoColumn,
    /// A switching fee without its direction.
    Unclear,
}

/// The fee for a Thai or English description. Case, white space and punctuation are ignored.
pub fn kind_of(description: &str) -> Description {
    let plain: String = name::normalise(description)
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_ascii_punctuation())
        .collect();
    let says = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    if says(&["สับเปลี่ยน", "switching"]) {
        // "switchING out" contains the letters of "in", so only the word after "switching" is examined.
        let inward = says(&["เข้า", "switchingin"]);
        let outward = says(&["ออก", "switchingout"]);
        return match (inward, outward) {
            (true, false) => Description::Is(FeeKind::SwitchingIn),
            (false, true) => Description::Is(FeeKind::SwitchingOut),
            _ => Description::Unclear,
        };
    }
    if says(&["การโอน", "transfer"]) {
        return Description::NoColumn;
    }
    if says(&["ค่าธรรมเนียมและค่าใช้จ่ายรวม", "totalexpense", "totalfee"])
    {
        return Description::Is(FeeKind::TotalExpense);
    }
    if says(&["รับซื้อคืน", "ขายคืน", "backend"]) {
        return Description::Is(FeeKind::BackEnd);
    }
    if says(&["การขายหน่วยลงทุน", "frontend"]) {
        return Description::Is(FeeKind::FrontEnd);
    }
    if says(&["ค่าธรรมเนียมการจัดการ", "managementfee"]) {
        return Description::Is(FeeKind::Management);
    }
    Description::NoColumn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_known_by_their_words_alone() {
        for (text, expected) in [
            (
                "ค่าธรรมเนียมการขายหน่วยลงทุน (Front-end Fee)",
                Description::Is(FeeKind::FrontEnd),
            ),
            (
                "ค่าธรรมเนียมการรับซื้อคืนหน่วยลงทุน (Back-end Fee)",
                Description::Is(FeeKind::BackEnd),
            ),
            (
                "  ค่าธรรมเนียมการจัดการ ",
                Description::Is(FeeKind::Management),
            ),
            (
                "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนเข้า (SWITCHING IN)",
                Description::Is(FeeKind::SwitchingIn),
            ),
            (
                "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุนออก (SWITCHING OUT)",
                Description::Is(FeeKind::SwitchingOut),
            ),
            (
                "ค่าธรรมเนียมการสับเปลี่ยนหน่วยลงทุน (switchING  out)",
                Description::Is(FeeKind::SwitchingOut),
            ),
            ("Switching-In Fee", Description::Is(FeeKind::SwitchingIn)),
            ("ค่าธรรมเนียมการสับเปลี่ยน", Description::Unclear),
            (
                "ค่าธรรมเนียมและค่าใช้จ่ายรวมทั้งหมด",
                Description::Is(FeeKind::TotalExpense),
            ),
            ("ค่าใช้จ่ายอื่นๆ", Description::NoColumn),
            ("ค่าธรรมเนียมการโอนหน่วยลงทุน", Description::NoColumn),
            ("ค่าธรรมเนียมนายทะเบียนหน่วย", Description::NoColumn),
            ("ค่าธรรมเนียมผู้ดูแลผลประโยชน์", Description::NoColumn),
            ("", Description::NoColumn),
        ] {
            assert_eq!(kind_of(text), expected, "{text}");
        }
    }
}
