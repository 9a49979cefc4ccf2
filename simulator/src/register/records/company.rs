//! The asset management companies.

/// `unique_id` and the names of each company. Blanks at the end of a name occur.
pub(crate) const COMPANIES: [(&str, &str, &str); 8] = [
    (
        "C0000000021",
        "บริษัทหลักทรัพย์จัดการกองทุน กสิกรไทย จำกัด",
        "KASIKORN ASSET MANAGEMENT COMPANY LIMITED",
    ),
    (
        "C0000000239",
        "บริษัทหลักทรัพย์จัดการกองทุน ไทยพาณิชย์ จำกัด",
        "SCB ASSET MANAGEMENT COMPANY LIMITED",
    ),
    (
        "C0000000460",
        "บริษัทหลักทรัพย์จัดการกองทุน กรุงไทย จำกัด (มหาชน)",
        "KRUNG THAI ASSET MANAGEMENT PUBLIC COMPANY LIMITED",
    ),
    (
        "C0000000324",
        "บริษัทหลักทรัพย์จัดการกองทุน ทิสโก้ จำกัด",
        "TISCO ASSET MANAGEMENT COMPANY LIMITED",
    ),
    (
        "C0000000569",
        "บริษัทหลักทรัพย์จัดการกองทุน วรรณ จำกัด",
        "ONE ASSET MANAGEMENT LIMITED ",
    ),
    (
        "C0000005022",
        "บริษัทหลักทรัพย์จัดการกองทุน แอสเซท พลัส จำกัด",
        "ASSET PLUS FUND MANAGEMENT COMPANY LIMITED",
    ),
    (
        "C0000006421",
        "บริษัทหลักทรัพย์จัดการกองทุน บางกอกแคปปิตอล จำกัด",
        "BANGKOK CAPITAL ASSET MANAGEMENT COMPANY LIMITED",
    ),
    (
        "C0000030406",
        "บริษัทหลักทรัพย์จัดการกองทุน เกียรตินาคินภัทร จำกัด",
        "KIATNAKIN PHATRA ASSET MANAGEMENT COMPANY LIMITED",
    ),
];
