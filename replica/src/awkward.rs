//! Every awkward value the generator deals out, as data: what it is and which line of the documents asks for it.
//!
//! A fund carries the entries that were dealt to it, so a test can pick "a fund with an unquoted NaN in its NAV list" by name,
//! and the coverage test can show that a large market holds each of them.

macro_rules! awkward {
    ($($name:ident, $from:literal, $what:literal;)+) => {
        /// One kind of awkward value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Awkward {
            $(#[doc = $what] $name,)+
        }

        impl Awkward {
            /// Every entry, in the order of the documents.
            pub const ALL: &'static [Awkward] = &[$(Awkward::$name,)+];

            /// The document and section the value comes from.
            pub fn document(self) -> &'static str {
                match self { $(Awkward::$name => $from,)+ }
            }

            /// What is awkward, in one phrase.
            pub fn what(self) -> &'static str {
                match self { $(Awkward::$name => $what,)+ }
            }
        }
    };
}

awkward! {
    // Codes
    CodeSpecialCharacters, "SOURCES 1", "a code with ( ) & / # % + or .";
    CodeSurroundingSpaces, "SOURCES 1", "a code that arrives with leading or trailing spaces";
    CodeInnerWhiteSpace, "SOURCES 1", "a code with a run of white space inside, or a no-break space";
    CodeDecomposed, "SOURCES 1", "a code whose accent is a combining character";
    CodeCaseTwin, "SOURCES 1", "two codes that differ only by case";
    CodeSlashTwin, "DESIGN 9", "the codes A/B and A:B";
    CodeLooksLikeNumber, "DESIGN 9", "the code 007, or 1E5";
    CodeLooksLikeMissing, "DESIGN 9", "the code NA";
    CodeApostrophe, "DESIGN 9", "a code with an apostrophe";
    // Lists
    BlankShortCode, "SOURCES 2", "a list entry whose short_code is blank";
    Inactive, "SOURCES 1", "a fund that Finnomena lists as inactive";
    ListedTwice, "DESIGN 9", "a code listed twice, active and inactive";
    ListNameMissing, "SOURCES 2", "a list entry whose name_th is null";
    ShareClass, "SOURCES 1", "one of several classes of a project";
    WealthMagikDuplicate, "SOURCES 3", "a code twice in WealthMagik's list";
    WealthMagikLinkBare, "SOURCES 3", "a list link that starts with neither http nor /";
    WealthMagikLinkAbsolute, "SOURCES 3", "a list link with scheme and host";
    WealthMagikLinkForeign, "DESIGN 11", "a list link to a host that is not the source's own";
    WealthMagikLinkProfile, "SOURCES 3", "a list link that already ends in /profile";
    WealthMagikOnly, "DESIGN 4 D8", "a code that only WealthMagik knows";
    WealthMagikMissing, "SOURCES 3", "an active fund that WealthMagik does not list";
    WealthMagikAbsent, "SOURCES 3", "a fund in WealthMagik's list whose pages answer 404";
    StateMissing, "SOURCES 3", "a page without script#serverApp-state";
    StateWithoutDetail, "SOURCES 3", "a page whose state has no fund-detail";
    // Master
    FundPageAbsent, "SOURCES 2", "a listed fund whose own page is 404";
    NamePercent, "DESIGN 9", "a name with % in it";
    NameApostrophe, "DESIGN 9", "a name with an apostrophe";
    NameThaiDigits, "DESIGN 9", "a name in Thai digits";
    NameUsdSuffix, "DESIGN 9", "a name that ends in (:USD)";
    NameOver255, "DESIGN 9", "a name longer than 255 characters";
    NameWhiteSpace, "SOURCES 6", "a name with tab, line break and no-break space";
    NameSaraAm, "SOURCES 6", "a name with a decomposed sara am";
    NameZeroWidth, "SOURCES 6", "a name with zero-width characters";
    NameDecomposed, "SOURCES 6", "a name with a combining accent";
    NameMarkup, "SOURCES 6", "a name with quotes, ampersand and angle brackets";
    RiskFromSpectrum, "DESIGN 10", "risk_level null, risk_spectrum says it";
    RiskEightPlus, "SOURCES 5", "a risk spectrum of 8+";
    DividendBlank, "SOURCES 2", "a dividend policy that is the empty text";
    DividendOtherWords, "DESIGN 10", "a dividend policy in other words than the two";
    InceptionYearOne, "SOURCES 6", "inception date 0001-01-01";
    MasterDisagreement, "SOURCES 7", "WealthMagik says other master fields than Finnomena";
    MasterFromWealthMagik, "SOURCES 8", "master fields that only WealthMagik says";
    // Daily
    WeeklyNav, "SOURCES 7", "a weekly NAV series";
    MonthlyNav, "SOURCES 7", "a monthly NAV series";
    NavOneDayOlder, "SOURCES 7", "the latest NAV is one business day older than yesterday's";
    NavTwoDaysOlder, "SOURCES 7", "the latest NAV is two business days older";
    NavZero, "SOURCES 8", "NAV 0";
    NavNull, "SOURCES 2", "NAV null";
    AmountZero, "SOURCES 8", "amount 0";
    AmountNull, "SOURCES 2", "amount null";
    AmountNan, "SOURCES 2", "amount an unquoted NaN";
    AmountInfinity, "SOURCES 2", "amount an unquoted Infinity";
    DuplicateDate, "SOURCES 8", "one date twice in a NAV list";
    Year2099, "DESIGN 9", "a NAV date in 2099";
    NavYearOne, "SOURCES 6", "a NAV date 0001-01-01";
    InvalidDate, "DESIGN 9", "a NAV date that does not exist";
    EmptyNavs, "SOURCES 2", "navs is []";
    NullNavs, "SOURCES 2", "navs is null";
    NavAbsent, "SOURCES 2", "the NAV list is 404";
    ManyDecimals, "DESIGN 4 D5", "a number with more than 10 decimals";
    Exponent, "DESIGN 4 D5", "a number with an exponent";
    TrailingZeros, "DESIGN 4 D5", "a number with trailing zeros";
    WrongClassTwoDays, "SOURCES 7", "a NAV far off for two days and back";
    LevelChangeAfterGap, "SOURCES 7", "a gap followed by another level";
    WeekendNav, "SOURCES 7", "a NAV on a Saturday";
    PricesMissing, "SOURCES 8", "bid and offer 0 at WealthMagik";
    PriceDateOlder, "SOURCES 8", "WealthMagik's prices are of an older date than Finnomena's latest NAV";
    PriceDateNewer, "SOURCES 8", "WealthMagik's prices are of a date Finnomena does not have yet";
    NavDisagreement, "SOURCES 7", "WealthMagik says another NAV for the day";
    WealthMagikNavZero, "SOURCES 8", "NAV 0 at WealthMagik";
    // Fees
    FeeDash, "SOURCES 6", "a fee cell that is -, – or empty";
    FeeWaived, "SOURCES 6", "a fee cell in the words for 'none is charged' (0)";
    FeeAsCharged, "SOURCES 6", "a fee cell in the words for 'as charged' or 'see note' (missing)";
    FeeNoCap, "SOURCES 2", "999999 in one of its spellings";
    FeeUnit, "SOURCES 6", "a fee with its unit behind the number";
    FeeComma, "SOURCES 6", "a minimum with a thousands comma";
    TransferFeeBaht, "SOURCES 7", "a transfer fee in baht";
    SwitchingSpelling, "DESIGN 9", "'switchING out' in an unusual spelling";
    ActualTerWithoutManagement, "SOURCES 7", "an actual TER without an actual management fee";
    FeesOfOwnCode, "SOURCES 8", "fee rows of the fund's own code among other classes'";
    FeesOfMain, "SOURCES 8", "fee rows of main only";
    FeesOfDash, "SOURCES 8", "fee rows of class -";
    FeesOwnBeatsMain, "SOURCES 8", "a few rows of the own code beside a full set of main";
    FeesOfOthersOnly, "SOURCES 8", "fee rows of other classes only";
    FeesEmpty, "SOURCES 2", "fees is [] or null";
    FeesAbsent, "SOURCES 2", "the fee page is 404";
    // Portfolios
    PercentDash, "DESIGN 9", "a percent that is '-' or null";
    PercentNegative, "SOURCES 2", "a negative percent, with minus sign or in parentheses";
    PercentUnreadable, "DESIGN 4 D3", "a percent that cannot be read";
    PercentNan, "SOURCES 2", "a percent that is an unquoted NaN";
    EqualRows, "DESIGN 4 D3", "the same row twice in one portfolio";
    SumOver100, "SOURCES 5", "percents that sum to far over 100";
    HoldingNameOver255, "DESIGN 9", "a holding name over 255 characters";
    HoldingNameWhiteSpace, "SOURCES 6", "a holding name with odd white space";
    PortfolioUndated, "SOURCES 6", "a portfolio without a date";
    PortfolioYearOne, "SOURCES 6", "a portfolio dated 0001-01-01";
    PortfolioEmpty, "SOURCES 3", ".emptyData, a null block or no elements";
    PortfolioAbsent, "SOURCES 2", "the portfolio page is 404";
    SectorOldName, "SOURCES 2", "the sector block under its older name";
    PortOldDate, "SOURCES 3", "the older place of the port page's date";
    EmptyInOneContainer, "SOURCES 3", ".emptyData inside one of the two allocation containers";
    RegionsSumTo200, "SOURCES 2", "regional exposure in two views";
    DateShortYear, "SOURCES 6", "a Thai date with a two-digit year";
    DateThaiDigits, "SOURCES 6", "a date in Thai digits";
    DateEnglish, "SOURCES 6", "a date 'as of' with an English month";
    DateSlashes, "SOURCES 6", "a dd/mm/yyyy date in the Buddhist year";
    // Statistics
    SecUnknown, "SOURCES 4", "a code missing in the SEC's 200 answer";
    SecSpoilsBatch, "SOURCES 4", "a code that makes its batch a 400";
    SecPercentSign, "SOURCES 4", "an SEC number with a % sign";
    SecComma, "SOURCES 4", "an SEC number with a thousands comma";
    SecPlusSign, "SOURCES 6", "an SEC number with a leading +";
    SecMissingWord, "SOURCES 4", "an SEC value that is '-', 'N/A', 'null' or 'None'";
    SecJsonNumber, "SOURCES 4", "an SEC value as a JSON number";
    SecNegativeZero, "DESIGN 4 D5", "an SEC value of -0.00";
    SecZero, "SOURCES 8", "an SEC value of 0";
    SecDateNull, "SOURCES 4", "representDate null or the text null";
    SecNothingSaid, "SOURCES 4", "a known code without any value or date";
    RecoveringZero, "SOURCES 4", "a recovering period of zeros";
    RecoveringPartlyNull, "SOURCES 4", "a recovering period with nulls";
    RecoveringNull, "SOURCES 4", "a recovering period of nulls only";
    // Factsheets
    FactsheetMissing, "SOURCES 2", "no factsheet at Finnomena, one at WealthMagik";
    FactsheetNowhere, "SOURCES 2", "no factsheet anywhere";
    FactsheetAbsent, "DESIGN 4 D6", "a factsheet URL that is 404";
    FactsheetHtml, "DESIGN 4 D6", "a factsheet URL that answers HTML";
    IsinWrongCheckDigit, "SOURCES 7", "an ISIN with a wrong check digit beside the right one";
    BloombergMissing, "SOURCES 7", "a factsheet without a Bloomberg code";
    IsinMissing, "SOURCES 5", "a factsheet without an ISIN";
}

/// Awkward codes as the list spells them, what they are once read, and why they are awkward. Twins stand side by side so that
/// both of a pair are in the market.
pub(crate) const CODES: &[(&str, &str, Awkward)] = {
    use Awkward::*;
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
