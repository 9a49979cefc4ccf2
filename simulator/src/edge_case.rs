//! Every edge case that the generator can give to a fund, as data: its name and a description.
//!
//! A fund records its edge cases. A test can pick "a fund with an unquoted NaN in its NAV list" by
//! name, and the coverage test can show that a large market contains each entry.

macro_rules! edge_cases {
    ($($name:ident, $what:literal;)+) => {
        /// One kind of edge case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EdgeCase {
            $(#[doc = $what] $name,)+
        }

        impl EdgeCase {
            /// Every entry, in the order of this file.
            pub const ALL: &'static [EdgeCase] = &[$(EdgeCase::$name,)+];

            /// A one-phrase description.
            pub fn what(self) -> &'static str {
                match self { $(EdgeCase::$name => $what,)+ }
            }
        }
    };
}

edge_cases! {
    // Codes
    CodeSpecialCharacters, "a code with ( ) & / # % + or .";
    CodeSurroundingSpaces, "a code that arrives with leading or trailing spaces";
    CodeInnerWhiteSpace, "a code with a run of white space inside, or a no-break space";
    CodeDecomposed, "a code whose accent is a combining character";
    CodeCaseTwin, "two codes that differ only by case";
    CodeSlashTwin, "the codes A/B and A:B";
    CodeLooksLikeNumber, "the code 007, or 1E5";
    CodeLooksLikeMissing, "the code NA";
    CodeApostrophe, "a code with an apostrophe";
    // Lists
    BlankShortCode, "a list entry whose short_code is blank";
    Inactive, "a fund that Finnomena lists as inactive";
    ListedTwice, "a code listed twice, active and inactive";
    ListNameMissing, "a list entry whose name_th is null";
    ShareClass, "one of several classes of a project";
    WealthMagikDuplicate, "a code twice in WealthMagik's list";
    WealthMagikLinkBare, "a list link that starts with neither http nor /";
    WealthMagikLinkAbsolute, "a list link with scheme and host";
    WealthMagikLinkForeign, "a list link to a host that is not the source's own";
    WealthMagikLinkProfile, "a list link that already ends in /profile";
    WealthMagikOnly, "a code that only WealthMagik knows";
    WealthMagikMissing, "an active fund that WealthMagik does not list";
    WealthMagikAbsent, "a fund in WealthMagik's list whose pages answer 404";
    StateMissing, "a page without script#serverApp-state";
    StateWithoutDetail, "a page whose state has no fund-detail";
    // Master
    FundPageAbsent, "a listed fund whose own page is 404";
    NamePercent, "a name with % in it";
    NameApostrophe, "a name with an apostrophe";
    NameThaiDigits, "a name in Thai digits";
    NameUsdSuffix, "a name that ends in (:USD)";
    NameOver255, "a name longer than 255 characters";
    NameWhiteSpace, "a name with tab, line break and no-break space";
    NameSaraAm, "a name with a decomposed sara am";
    NameZeroWidth, "a name with zero-width characters";
    NameDecomposed, "a name with a combining accent";
    NameMarkup, "a name with quotes, ampersand and angle brackets";
    RiskFromSpectrum, "risk_level null, risk_spectrum says it";
    RiskEightPlus, "a risk spectrum of 8+";
    DividendBlank, "a dividend policy that is the empty text";
    DividendOtherWords, "a dividend policy in other words than the two";
    InceptionYearOne, "inception date 0001-01-01";
    MasterDisagreement, "WealthMagik says other master fields than Finnomena";
    MasterFromWealthMagik, "master fields that only WealthMagik says";
    // Daily
    WeeklyNav, "a weekly NAV series";
    MonthlyNav, "a monthly NAV series";
    NavOneDayOlder, "the latest NAV is one business day older than yesterday's";
    NavTwoDaysOlder, "the latest NAV is two business days older";
    NavZero, "NAV 0";
    NavNull, "NAV null";
    AmountZero, "amount 0";
    AmountNull, "amount null";
    AmountNan, "amount an unquoted NaN";
    AmountInfinity, "amount an unquoted Infinity";
    DuplicateDate, "one date twice in a NAV list";
    Year2099, "a NAV date in 2099";
    NavYearOne, "a NAV date 0001-01-01";
    InvalidDate, "a NAV date that does not exist";
    EmptyNavs, "navs is []";
    NullNavs, "navs is null";
    NavAbsent, "the NAV list is 404";
    ManyDecimals, "a number with more than 10 decimals";
    Exponent, "a number with an exponent";
    TrailingZeros, "a number with trailing zeros";
    WrongClassTwoDays, "a NAV far off for two days and back";
    LevelChangeAfterGap, "a gap followed by another level";
    WeekendNav, "a NAV on a Saturday";
    PricesMissing, "bid and offer 0 at WealthMagik";
    PriceDateOlder, "WealthMagik's prices are of an older date than Finnomena's latest NAV";
    PriceDateNewer, "WealthMagik's prices are of a date Finnomena does not have yet";
    NavDisagreement, "WealthMagik says another NAV for the day";
    WealthMagikNavZero, "NAV 0 at WealthMagik";
    // Fees
    FeeDash, "a fee cell that is -, – or empty";
    FeeWaived, "a fee cell in the words for 'none is charged' (0)";
    FeeAsCharged, "a fee cell in the words for 'as charged' or 'see note' (missing)";
    FeeNoCap, "999999 in one of its spellings";
    FeeUnit, "a fee with its unit behind the number";
    FeeComma, "a minimum with a thousands comma";
    TransferFeeBaht, "a transfer fee in baht";
    SwitchingSpelling, "'switchING out' in an unusual spelling";
    ActualTerWithoutManagement, "an actual TER without an actual management fee";
    FeesOfOwnCode, "fee rows of the fund's own code among other classes'";
    FeesOfMain, "fee rows of main only";
    FeesOfDash, "fee rows of class -";
    FeesOwnBeatsMain, "a few rows of the own code beside a full set of main";
    FeesOfOthersOnly, "fee rows of other classes only";
    FeesEmpty, "fees is [] or null";
    FeesAbsent, "the fee page is 404";
    // Portfolios
    PercentDash, "a percent that is '-' or null";
    PercentNegative, "a negative percent, with minus sign or in parentheses";
    PercentUnreadable, "a percent that cannot be read";
    PercentNan, "a percent that is an unquoted NaN";
    EqualRows, "the same row twice in one portfolio";
    SumOver100, "percents that sum to far over 100";
    HoldingNameOver255, "a holding name over 255 characters";
    HoldingNameWhiteSpace, "a holding name with odd white space";
    PortfolioUndated, "a portfolio without a date";
    PortfolioYearOne, "a portfolio dated 0001-01-01";
    PortfolioEmpty, ".emptyData, a null block or no elements";
    PortfolioAbsent, "the portfolio page is 404";
    SectorOldName, "the sector block under its older name";
    PortOldDate, "the older place of the port page's date";
    EmptyInOneContainer, ".emptyData inside one of the two allocation containers";
    RegionsSumTo200, "regional exposure in two views";
    DateShortYear, "a Thai date with a two-digit year";
    DateThaiDigits, "a date in Thai digits";
    DateEnglish, "a date 'as of' with an English month";
    DateSlashes, "a dd/mm/yyyy date in the Buddhist year";
    // Statistics
    SecUnknown, "a code missing in the SEC's 200 answer";
    SecSpoilsBatch, "a code that makes its batch a 400";
    SecPercentSign, "an SEC number with a % sign";
    SecComma, "an SEC number with a thousands comma";
    SecPlusSign, "an SEC number with a leading +";
    SecMissingWord, "an SEC value that is '-', 'N/A', 'null' or 'None'";
    SecJsonNumber, "an SEC value as a JSON number";
    SecNegativeZero, "an SEC value of -0.00";
    SecZero, "an SEC value of 0";
    SecDateNull, "representDate null or the text null";
    SecNothingSaid, "a known code without any value or date";
    RecoveringZero, "a recovering period of zeros";
    RecoveringPartlyNull, "a recovering period with nulls";
    RecoveringNull, "a recovering period of nulls only";
    // Factsheets
    FactsheetMissing, "no factsheet at Finnomena, one at WealthMagik";
    FactsheetNowhere, "no link to the factsheet but the register's";
    FactsheetAbsent, "a factsheet URL that is 404";
    FactsheetHtml, "a factsheet URL that answers HTML";
    IsinWrongCheckDigit, "an ISIN with a wrong check digit beside the right one";
    BloombergMissing, "a factsheet without a Bloomberg code";
    IsinMissing, "a factsheet without an ISIN";
    // Register
    RegisterOnly, "a registered class with a NAV that no other source knows";
    RegisterOnlyIpo, "a class in its first offer, without a NAV, that no other source knows";
    RegisterOnlyDead, "a dead class that no other source ever knew";
    RegisterLacks, "an active fund that the register lacks";
    RegisterExpired, "a class that the register calls expired and Finnomena active";
    RegisterAlive, "a class that the register calls registered and Finnomena inactive";
    RegisterRenamed, "a class under another code in the register, with the fund's ISIN";
    RegisterSpaces, "a class name with stray spaces in the register";
    RegisterNameAmpersand, "a project name with & in it";
    RegisterNeverOffered, "a class whose prices are 0.0 on every day";
    RegisterDuplicateDay, "a day twice in a class's NAV rows, the second row valid";
    RegisterLate, "a class whose NAVs are published seven days late";
    RegisterMonthly, "a class of which the register publishes one NAV a month";
    RegisterUsd, "purchase minimums in US dollars in the register";
    RegisterFeePeriods, "two effective periods of each fee among the register's latest rows";
    RegisterMainZeros, "an all-zero set of fees of main beside a project's classes";
    RegisterDividendUnnamed, "a dividend whose class name is - in the register";
    RegisterIsinWrong, "an ISIN with a wrong check digit in the register";
    // Renames
    NewIdOnRename, "a fund that gets a new fund_id when it is renamed, and keeps its ISIN";
    NewIdAndIsinOnRename, "a fund that gets a new fund_id when it is renamed, and loses its ISIN";
}

/// Codes with edge cases: the list's spelling, the code after parsing, and the kind. The two codes of a pair are
/// neighbours, so that a market contains both.
pub(crate) const CODES: &[(&str, &str, EdgeCase)] = {
    use EdgeCase::*;
    &[
        (" SCBGLOW", "SCBGLOW", CodeSurroundingSpaces),
        ("007", "007", CodeLooksLikeNumber),
        ("NA", "NA", CodeLooksLikeMissing),
        ("A/B", "A/B", CodeSlashTwin),
        ("A:B", "A:B", CodeSlashTwin),
        ("TwinCase-A", "TwinCase-A", CodeCaseTwin),
        ("TWINCASE-A", "TWINCASE-A", CodeCaseTwin),
        ("KK BRIC 7%#1", "KK BRIC 7%#1", CodeSpecialCharacters),
        ("SCBS&P500A", "SCBS&P500A", CodeSpecialCharacters),
        ("O'HARA-A", "O'HARA-A", CodeApostrophe),
        ("CAFE\u{301}-A", "CAF\u{c9}-A", CodeDecomposed),
        ("KKP  GAP \u{a0}EQ", "KKP GAP EQ", CodeInnerWhiteSpace),
        ("K-USA-A(A)", "K-USA-A(A)", CodeSpecialCharacters),
        ("KKP NDQ100-UH-E", "KKP NDQ100-UH-E", CodeSpecialCharacters),
        ("BT-AUTOFIX 3Y/1", "BT-AUTOFIX 3Y/1", CodeSpecialCharacters),
        ("TERF #1", "TERF #1", CodeSpecialCharacters),
        ("KT25/75RMF", "KT25/75RMF", CodeSpecialCharacters),
        ("T-PLUS+", "T-PLUS+", CodeSpecialCharacters),
        ("M.FIX 1.5Y", "M.FIX 1.5Y", CodeSpecialCharacters),
        ("ASP-TRAIL-A ", "ASP-TRAIL-A", CodeSurroundingSpaces),
        ("1E5", "1E5", CodeLooksLikeNumber),
    ]
};
