//! The readers that process every page of a format first.

use sources::payload::html::{self, HtmlPage};
use sources::payload::{bare_nan, json, text_of};
use sources::text::name;

use crate::holds;

/// JSON: reads along the first path to its end.
pub fn json(body: &[u8]) {
    let Ok(document) = json::document(body) else {
        return;
    };
    assert_eq!(bare_nan::made_lawful(&document), document, "lawful once");
    let Ok(mut field) = json::root(&document) else {
        return;
    };
    for _ in 0..8 {
        let _ = (field.flag(), field.date(), field.record::<Nothing>());
        if let Ok(Some(text)) = field.text() {
            let _ = name::normalise(&text);
        }
        match field.quantity() {
            Ok(Some(quantity)) => holds::number(quantity.value),
            Ok(None) => {}
            Err(reason) => holds::message(&reason.replace('\0', "")),
        }
        match field.fee_cell() {
            Ok(cell) => holds::fee_cell(&cell),
            Err(reason) => holds::message(&reason.replace('\0', "")),
        }
        match field.elements() {
            Ok(Some(elements)) if !elements.is_empty() => {
                assert!(elements.len() <= json::MAX_ELEMENTS);
                field = elements[0];
            }
            _ => return,
        }
    }
}

/// A record without any known field.
type Nothing = std::collections::BTreeMap<String, ()>;

/// HTML: builds the tree and calls all of its queries.
pub fn html(body: &[u8]) {
    let kept = html::without_foreign_scripts(body, &["serverApp-state", "ng-state"]);
    assert!(kept.len() <= body.len());
    let Ok(page) = HtmlPage::parse(body) else {
        return;
    };
    assert!(text_of(body).is_ok());
    let text = html::text(page.root());
    assert_eq!(name::normalise(&text), text);
    let _ = html::words(page.root());
    let _ = page.error_heading();
    for (id, element) in page.ids().take(5) {
        assert!(
            page.rest_of_id(&id).is_some(),
            "an element has the id {id:?}"
        );
        let _ = html::text(&element);
    }
}
