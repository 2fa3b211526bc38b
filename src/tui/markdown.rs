//! Light Markdown: which parts of a text are headings, strong, emphasised or code. The text itself stays as it is, marks
//! included, so that what is copied is what is seen.

use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use super::theme::Role;

/// Longer texts are shown plain: they are parsed anew for each frame.
const LONGEST: usize = 64 << 10;

/// The parts of a text that have a role of their own; inner ones behind outer ones.
pub(super) fn marks(text: &str) -> Vec<(Range<usize>, Role)> {
    if text.len() > LONGEST {
        return Vec::new();
    }
    let role = |event: &Event<'_>| match event {
        Event::Start(Tag::Heading { .. }) => Some(Role::Title),
        Event::Start(Tag::Strong) => Some(Role::Strong),
        Event::Start(Tag::Emphasis) => Some(Role::Emphasis),
        Event::Start(Tag::CodeBlock(_)) | Event::Code(_) => Some(Role::Code),
        Event::Start(Tag::BlockQuote(_)) | Event::Rule => Some(Role::Muted),
        _ => None,
    };
    Parser::new(text).into_offset_iter().filter_map(|(event, range)| Some((range, role(&event)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_roles() {
        let text = "# Head\n\nsome **bold** and *soft* `code`\n\n> quote\n";
        let found: Vec<(&str, Role)> =
            marks(text).into_iter().map(|(range, role)| (text[range].trim(), role)).collect();
        let expected = [
            ("# Head", Role::Title),
            ("**bold**", Role::Strong),
            ("*soft*", Role::Emphasis),
            ("`code`", Role::Code),
            ("> quote", Role::Muted),
        ];
        assert_eq!(found, expected);
    }
}
