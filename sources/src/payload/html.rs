//! HTML pages: the tree, and the queries that the parsers of all sites use.
//!
//! The nodes are `!Send`: a page is parsed, queried and dropped within one call.

use kuchikiki::NodeRef;

use crate::payload::{bounded_tree, text_of};
use crate::site::Breach;
use crate::text::name;

/// The maximum size of the text of one element, in bytes. No cell, name or heading is nearly as long, and all parsers
/// of such texts have much lower limits.
const MAX_TEXT_BYTES: usize = 32 * 1024;

/// A parsed page.
pub struct HtmlPage {
    document: NodeRef,
}

impl HtmlPage {
    /// Parses a body.
    ///
    /// # Errors
    /// The body is not UTF-8, or its tree is too deep, too large or too expensive to build.
    pub fn parse(body: &[u8]) -> Result<Self, Breach> {
        let document = bounded_tree::build(text_of(body)?)?;
        Ok(Self { document })
    }

    /// The root of the tree.
    #[must_use]
    pub const fn root(&self) -> &NodeRef {
        &self.document
    }

    /// The matching elements, in page order.
    #[must_use]
    pub fn all(&self, css: &str) -> Vec<NodeRef> {
        all_in(&self.document, css)
    }

    /// Every (id, element) in page order.
    pub fn ids(&self) -> impl Iterator<Item = (String, NodeRef)> + '_ {
        self.document
            .descendants()
            .filter_map(|node| attribute(&node, "id").map(|id| (id, node)))
    }

    /// The text after `prefix` in the first id that begins with it and continues after it. An id may contain any
    /// character (dots, spaces, Thai). `None` if no id begins with `prefix`; `Some("")` if every such id ends there.
    #[must_use]
    pub fn rest_of_id(&self, prefix: &str) -> Option<String> {
        let mut empty = None;
        for (id, _) in self.ids() {
            if let Some(rest) = id.strip_prefix(prefix) {
                let rest = name::normalise(rest);
                if !rest.is_empty() {
                    return Some(rest);
                }
                empty = Some(rest);
            }
        }
        empty
    }

    /// The heading of an error page: sites send such pages with status 200.
    #[must_use]
    pub fn error_heading(&self) -> Option<String> {
        const WORDS: [&str; 7] = [
            "error",
            "not found",
            "denied",
            "unavailable",
            "ไม่พบ",
            "ขออภัย",
            "ผิดพลาด",
        ];
        // As separate words: a fund may be named after the S&P 500.
        const STATUSES: [&str; 6] = ["400", "403", "404", "500", "502", "503"];
        self.all("h1, h2, h3").iter().map(text).find(|heading| {
            let lower = heading.to_lowercase();
            WORDS.iter().any(|word| lower.contains(word))
                || STATUSES
                    .iter()
                    .any(|status| lower.split_whitespace().next() == Some(status))
        })
    }
}

/// The matching elements inside `node`, in page order.
#[must_use]
pub fn all_in(node: &NodeRef, css: &str) -> Vec<NodeRef> {
    // The selectors are constants of the sites, each covered by a test; an invalid one would match nothing and fail its
    // test.
    match node.select(css) {
        Ok(found) => found.map(|element| element.as_node().clone()).collect(),
        Err(()) => Vec::new(),
    }
}

/// An attribute of an element.
#[must_use]
pub fn attribute(node: &NodeRef, attribute: &str) -> Option<String> {
    node.as_element().and_then(|element| {
        element
            .attributes
            .borrow()
            .get(attribute)
            .map(ToOwned::to_owned)
    })
}

/// Whether an element has the class.
#[must_use]
pub fn has_class(node: &NodeRef, class: &str) -> bool {
    attribute(node, "class")
        .is_some_and(|classes| classes.split_whitespace().any(|one| one == class))
}

/// The nearest ancestor with one of the classes, as the index of its class in `classes`.
#[must_use]
pub fn nearest_ancestor_class(node: &NodeRef, classes: &[&str]) -> Option<usize> {
    node.ancestors()
        .find_map(|ancestor| classes.iter().position(|class| has_class(&ancestor, class)))
}

/// The visible text of a node, normalised as a name. Line breaks are white space; scripts and styles are left out.
/// The text is cut at `MAX_TEXT_BYTES`.
#[must_use]
pub fn text(node: &NodeRef) -> String {
    name::normalise(&raw_text(node))
}

/// The visible words of a node, with a space between all text nodes, so that a phrase across elements can be found.
#[must_use]
pub fn words(node: &NodeRef) -> String {
    let pieces: Vec<String> = node
        .inclusive_descendants()
        .filter(|inner| inner.as_text().is_some())
        .map(|piece| text(&piece))
        .filter(|piece| !piece.is_empty())
        .collect();
    pieces.join(" ")
}

fn raw_text(node: &NodeRef) -> String {
    let mut all = String::new();
    for inner in node.inclusive_descendants() {
        if let Some(piece) = inner.as_text() {
            let hidden = inner.parent().is_some_and(|parent| {
                ["script", "style", "noscript"]
                    .iter()
                    .any(|tag| is_tag(&parent, tag))
            });
            if !hidden {
                all.push_str(&piece.borrow());
            }
            if all.len() >= MAX_TEXT_BYTES {
                all.truncate(all.floor_char_boundary(MAX_TEXT_BYTES));
                return all;
            }
        } else if is_tag(&inner, "br") {
            all.push(' ');
        }
    }
    all
}

/// The unchanged text of a script element.
#[must_use]
pub fn script_text(node: &NodeRef) -> String {
    node.text_contents()
}

/// Whether a node is an element with this tag name.
#[must_use]
pub fn is_tag(node: &NodeRef, tag: &str) -> bool {
    node.as_element()
        .is_some_and(|element| &*element.name.local == tag)
}

/// The part of an HTML body that parsers read. Scripts are removed, because they change with each request (nonces,
/// tokens) and contain no data. Only the embedded state is kept: the scripts with one of `kept_ids`. Works on bytes and
/// never fails; unrecognised content is kept.
#[must_use]
pub fn without_foreign_scripts(body: &[u8], kept_ids: &[&str]) -> Vec<u8> {
    let lower = body.to_ascii_lowercase();
    let kept_ids: Vec<String> = kept_ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    let mut kept = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(start) = find(&lower, b"<script", at) {
        let Some(open_end) = find(&lower, b">", start) else {
            break;
        };
        let Some(close) = find(&lower, b"</script", open_end) else {
            break;
        };
        let tag = &lower[start..open_end];
        if kept_ids
            .iter()
            .any(|id| find(tag, id.as_bytes(), 0).is_some())
        {
            // Keep the state itself without its tag, which may contain a nonce.
            kept.extend_from_slice(&body[at..start]);
            kept.extend_from_slice(&body[open_end..close]);
        } else {
            kept.extend_from_slice(&body[at..start]);
        }
        at = close;
    }
    kept.extend_from_slice(&body[at..]);
    kept
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    while let Some(found) = haystack.get(at..)?.iter().position(|byte| *byte == first) {
        if haystack[at + found..].starts_with(needle) {
            return Some(at + found);
        }
        at += found + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_may_hold_anything_behind_their_prefix() {
        let page = HtmlPage::parse(
            "<p id='x.a.'></p><p id='x.a.10.12 % กข&amp;\"'></p><p id='y.https://h/a.b?c=d'></p>"
                .as_bytes(),
        );
        let page = page.expect("UTF-8");
        assert_eq!(page.rest_of_id("x.a.").as_deref(), Some("10.12 % กข&\""));
        assert_eq!(page.rest_of_id("y.").as_deref(), Some("https://h/a.b?c=d"));
        assert_eq!(page.rest_of_id("z."), None);
    }

    #[test]
    fn text_folds_white_space_and_skips_scripts() {
        let page = HtmlPage::parse("<td>A\u{a0}\tB<br>C<script>x</script> 7% O'N </td>".as_bytes())
            .expect("UTF-8");
        assert_eq!(text(page.root()), "A B C 7% O'N");
    }

    #[test]
    fn a_nonce_does_not_make_a_page_look_new() {
        let page = |nonce: &str, value: &str| {
            without_foreign_scripts(
                format!("<p>a</p><script nonce='{nonce}'>t('{nonce}')</script><script nonce={nonce} id=serverApp-state>{value}</script>b")
                    .as_bytes(),
                &["ng-state", "serverApp-state"],
            )
        };
        assert_eq!(page("1", "v"), page("2", "v"));
        assert_ne!(page("1", "v"), page("1", "w"));
    }

    #[test]
    fn a_text_longer_than_any_cell_is_cut_and_stays_too_long_for_one() {
        let page = format!("<p>{}</p>", "9".repeat(2_000_000));
        let page = HtmlPage::parse(page.as_bytes()).expect("UTF-8");
        assert_eq!(text(page.root()).len(), MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text_bytes in "(<script|</script>|>|id=s|[a-z ]){0,20}") {
            let _ = HtmlPage::parse(&bytes);
            let _ = without_foreign_scripts(&bytes, &["s"]);
            let _ = without_foreign_scripts(text_bytes.as_bytes(), &["s"]);
        }
    }
}
