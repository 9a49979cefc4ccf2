//! Builds the tree of an HTML page within limits on its depth, its number of nodes and the work of building it (D6).
//!
//! An HTML parser repairs its input, and hostile input makes that expensive. With a million nested elements, each
//! closing tag walks over all of them. A few thousand unclosed formatting elements are opened again in every later
//! paragraph. Some megabytes of such input take hours, or all memory. The text is therefore fed in pieces, and parsing
//! stops as soon as a limit is exceeded.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, parse_document};
use kuchikiki::iter::NodeEdge;
use kuchikiki::{NodeRef, Sink};

use crate::payload::breach;
use crate::site::Breach;

/// The maximum nesting of elements; browsers build no deeper tree either. Pages of the sites have about 40 levels.
const MAX_DEPTH: usize = 512;
/// The maximum number of nodes of one page; the largest real ones, full holdings, have about 20,000.
const MAX_NODES: usize = 200_000;
/// The maximum number of queries by the parser about its open elements. Real pages need about a hundred per element.
const MAX_STEPS: usize = 60_000_000;
/// The maximum length of an element's `class`, in bytes: it is searched for each row below the element.
const MAX_CLASS: usize = 10_000;
/// The maximum number of separators (white space, `/`) in a stretch of text that adds nothing to the tree, such as one
/// tag. The tokenizer compares each attribute of a tag with all attributes before it. A comment or a value with more
/// separators is refused as well.
const MAX_SILENT_SEPARATORS: usize = 10_000;
/// The size of a piece of text, in bytes; the limits are checked after each piece.
const PIECE: usize = 1_024;

/// Builds the tree of `text`.
///
/// # Errors
/// The tree is too deep or too large, or building it takes too much work.
pub fn build(text: &str) -> Result<NodeRef, Breach> {
    let counted = CountedSink {
        inner: Sink::default(),
        nodes: Cell::new(0),
        steps: Cell::new(0),
        longest_class: Cell::new(0),
        built_at: RefCell::new(None),
    };
    let mut parser = parse_document(counted, ParseOpts::default());
    let mut rest = text;
    let (mut heard_of, mut silent_separators) = (0, 0);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.ceil_char_boundary(PIECE.min(rest.len())));
        parser.process(StrTendril::from(piece));
        rest = behind;
        let sink = &parser.tokenizer.sink.sink;
        if heard_of == sink.heard() {
            silent_separators += separators(piece);
        } else {
            (heard_of, silent_separators) = (sink.heard(), separators(piece));
        }
        let passed = [
            (
                silent_separators,
                MAX_SILENT_SEPARATORS,
                "separators within one tag",
            ),
            (
                sink.longest_class.get(),
                MAX_CLASS,
                "bytes in the class of one element",
            ),
            (sink.nodes.get(), MAX_NODES, "nodes"),
            (sink.steps.get(), MAX_STEPS, "steps of the HTML parser"),
        ];
        if sink.is_deep() {
            return Err(too_deep());
        }
        if let Some((_, most, what)) = passed.iter().find(|(found, most, _)| found > most) {
            let found = format!(
                "more, in the first {} of {} bytes",
                text.len() - rest.len(),
                text.len()
            );
            return Err(breach(
                "body",
                &format!("a page of at most {most} {what}"),
                &found,
            ));
        }
    }
    let document = parser.finish().document_node;
    if is_deeper_than(&document, MAX_DEPTH) {
        return Err(too_deep());
    }
    Ok(document)
}

fn separators(piece: &str) -> usize {
    let separates = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b'/';
    piece.as_bytes().iter().filter(separates).count()
}

fn too_deep() -> Breach {
    let expected = format!("a page of at most {MAX_DEPTH} elements inside one another");
    breach("body", &expected, "more")
}

fn is_deeper_than(document: &NodeRef, most: usize) -> bool {
    let mut depth = 0_usize;
    for edge in document.traverse() {
        match edge {
            NodeEdge::Start(_) => depth += 1,
            NodeEdge::End(_) => depth -= 1,
        }
        if depth > most {
            return true;
        }
    }
    false
}

/// The tree builder with counters of the parser's calls.
struct CountedSink {
    inner: Sink,
    nodes: Cell<usize>,
    steps: Cell<usize>,
    longest_class: Cell<usize>,
    /// The node that was appended to last.
    built_at: RefCell<Option<NodeRef>>,
}

impl CountedSink {
    /// Whether the node being built is too deep. This detects it long before the whole tree is built.
    fn is_deep(&self) -> bool {
        let built_at = self.built_at.borrow();
        built_at
            .as_ref()
            .is_some_and(|node| node.ancestors().nth(MAX_DEPTH).is_some())
    }

    /// A counter that grows with every change of the tree.
    fn heard(&self) -> usize {
        self.nodes.get() + self.steps.get()
    }

    fn node(&self) {
        self.nodes.set(self.nodes.get() + 1);
    }

    /// Counts a text node when it is appended; elements are counted when they are created.
    fn text(&self, child: &NodeOrText<NodeRef>) {
        if matches!(child, NodeOrText::AppendText(_)) {
            self.node();
        }
    }

    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
    }
}

impl TreeSink for CountedSink {
    type Handle = NodeRef;
    type Output = Sink;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Sink {
        self.inner
    }

    fn parse_error(&self, message: Cow<'static, str>) {
        self.inner.parse_error(message);
    }

    fn get_document(&self) -> NodeRef {
        self.inner.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeRef) -> ExpandedName<'a> {
        self.step();
        self.inner.elem_name(target)
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        flags: ElementFlags,
    ) -> NodeRef {
        self.node();
        for attribute in &attributes {
            if &*attribute.name.local == "class" {
                let longest = self.longest_class.get().max(attribute.value.len());
                self.longest_class.set(longest);
            }
        }
        self.inner.create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> NodeRef {
        self.node();
        self.inner.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeRef {
        self.node();
        self.inner.create_pi(target, data)
    }

    fn append(&self, parent: &NodeRef, child: NodeOrText<NodeRef>) {
        self.built_at.replace(Some(parent.clone()));
        self.text(&child);
        self.inner.append(parent, child);
    }

    fn append_based_on_parent_node(
        &self,
        element: &NodeRef,
        previous: &NodeRef,
        child: NodeOrText<NodeRef>,
    ) {
        self.text(&child);
        self.inner
            .append_based_on_parent_node(element, previous, child);
    }

    fn append_doctype_to_document(
        &self,
        name: StrTendril,
        public_id: StrTendril,
        system_id: StrTendril,
    ) {
        self.inner
            .append_doctype_to_document(name, public_id, system_id);
    }

    fn mark_script_already_started(&self, node: &NodeRef) {
        self.inner.mark_script_already_started(node);
    }

    fn get_template_contents(&self, target: &NodeRef) -> NodeRef {
        self.inner.get_template_contents(target)
    }

    fn same_node(&self, one: &NodeRef, other: &NodeRef) -> bool {
        self.step();
        self.inner.same_node(one, other)
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.inner.set_quirks_mode(mode);
    }

    fn append_before_sibling(&self, sibling: &NodeRef, child: NodeOrText<NodeRef>) {
        self.text(&child);
        self.inner.append_before_sibling(sibling, child);
    }

    fn add_attrs_if_missing(&self, target: &NodeRef, attributes: Vec<Attribute>) {
        self.inner.add_attrs_if_missing(target, attributes);
    }

    fn remove_from_parent(&self, target: &NodeRef) {
        self.inner.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeRef, new_parent: &NodeRef) {
        self.inner.reparent_children(node, new_parent);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn refused(page: &str, words: &str) {
        let started = Instant::now();
        let breach = build(page).expect_err(words);
        assert!(breach.to_string().contains(words), "{breach}");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{words} took {:?}",
            started.elapsed()
        );
    }

    #[test]
    fn d6_a_million_nested_elements_cost_seconds_and_one_page() {
        refused(&"<div>".repeat(1_000_000), "inside one another");
        refused(&"<span>".repeat(1_000_000), "inside one another");
        refused(&"<table><tr><td>".repeat(400_000), "inside one another");
        // Content of a table outside its cells is placed before the table.
        let fostered = format!("<table>{}", "<div>".repeat(400_000));
        refused(&fostered, "inside one another");
        refused(&"<p>x</p>".repeat(400_000), "nodes");
    }

    #[test]
    fn d6_formatting_elements_that_are_opened_again_and_again_do_not_fill_the_memory() {
        let open: String = (0..300).map(|n| format!("<font size={n}>")).collect();
        refused(&format!("<p>{open}{}", "<p>x".repeat(200_000)), "nodes");
    }

    #[test]
    fn d6_a_tag_with_a_million_attributes_and_an_endless_class_are_refused() {
        let attributes: String = (0..1_000_000).map(|n| format!("a{n} ")).collect();
        refused(&format!("<p {attributes}>x"), "within one tag");
        let class = "c ".repeat(10_000);
        refused(&format!("<p class='{class}'>x"), "class of one element");
        let few: String = (0..1_000).map(|n| format!("a{n}=1 ")).collect();
        assert!(build(&format!("<p {few} class='a b'>x")).is_ok());
    }

    #[test]
    fn d6_a_page_may_be_deep_but_not_absurdly_deep() {
        let deep = |levels: usize| format!("{}x", "<div>".repeat(levels));
        assert!(build(&deep(MAX_DEPTH - 10)).is_ok());
        refused(&deep(MAX_DEPTH + 1), "inside one another");
    }

    #[test]
    fn a_large_plain_page_stays_far_from_the_bounds() {
        let row =
            "<div class=a><div><span class=n>ชื่อ</span></div><p><span> 1.23% </span></p></div>";
        let page = format!("<html><body>{}</body></html>", row.repeat(20_000));
        let document = build(&page).expect("a page");
        assert_eq!(document.select(".n").map(Iterator::count), Ok(20_000));
    }

    #[test]
    fn pieces_end_at_characters() {
        for shift in 0..4 {
            let page = format!("{}{}", "x".repeat(shift), "กองทุน".repeat(2_000));
            let document = build(&page).expect("a page");
            assert_eq!(document.text_contents(), page);
        }
    }
}
