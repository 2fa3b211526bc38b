//! Wrapping by the width of graphemes, between words where there are any.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::sanitize::is_harmful;

/// Columns of a tab.
const TAB: usize = 4;

/// The graphemes of a row with their places, without what must not reach a terminal; tabs as spaces.
pub(crate) fn graphemes(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let safe = |grapheme: &str| !grapheme.chars().any(is_harmful);
    let shown = |(at, grapheme)| (at, if grapheme == "\t" { "    " } else { grapheme });
    split(text).filter(move |(_, grapheme)| safe(grapheme)).map(shown)
}

/// Graphemes with their places. Nothing joins an ASCII character to an ASCII character before it, but for a line's end.
fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let grapheme = match rest.as_bytes() {
            [] => return None,
            [b'\r', ..] => rest.graphemes(true).next()?,
            [one] | [one, 0..=127, ..] if one.is_ascii() => &rest[..1],
            _ => rest.graphemes(true).next()?,
        };
        at += grapheme.len();
        Some((at - grapheme.len(), grapheme))
    })
}

/// The columns of a text.
pub(crate) fn width(text: &str) -> usize {
    graphemes(text).map(|(_, grapheme)| columns(grapheme)).sum()
}

fn columns(grapheme: &str) -> usize {
    match grapheme {
        "\t" => TAB,
        other if matches!(other.as_bytes(), [b' '..=b'~']) => 1,
        other if other.chars().any(is_harmful) => 0,
        other => other.width(),
    }
}

/// The rows of a line in a window of some width, as bytes; one empty row for an empty line. A row keeps the blanks behind
/// its last word, beyond the edge if need be.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    // `blank` is where the row could break: behind the last blank, with the columns from there on.
    let (mut start, mut used, mut blank) = (0, 0, None);
    for (at, grapheme) in split(line) {
        let columns = columns(grapheme);
        if grapheme == " " || grapheme == "\t" {
            used += columns;
            blank = Some((at + grapheme.len(), 0));
            continue;
        }
        // Twice where the word that was taken over is itself too wide.
        while used + columns > width && at > start {
            let (end, behind) = blank.filter(|(end, _)| *end > start).unwrap_or((at, 0));
            rows.push(start..end);
            (start, used, blank) = (end, behind, None);
        }
        used += columns;
        blank = blank.map(|(end, behind)| (end, behind + columns));
    }
    rows.push(start..line.len());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(line: &str, width: usize) -> Vec<&str> {
        wrap(line, width).into_iter().map(|row| &line[row]).collect()
    }

    #[test]
    fn rows_break_between_words_and_else_between_graphemes() {
        assert_eq!(rows("one two three", 8), ["one two ", "three"]);
        assert_eq!(rows("one two", 7), ["one two"]);
        assert_eq!(rows("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(rows("a abcdefgh", 4), ["a ", "abcd", "efgh"]);
        assert_eq!(rows("", 4), [""]);
        assert_eq!(rows("日本語テキスト", 5), ["日本", "語テ", "キス", "ト"]);
        assert_eq!(rows("👩‍🔬👩‍🔬e\u{301}e\u{301}", 4), ["👩‍🔬👩‍🔬", "e\u{301}e\u{301}"]);
        assert_eq!(rows("a\tb", 5), ["a\t", "b"]);
        assert_eq!(rows("x a👍", 2), ["x ", "a", "👍"]);
    }

    #[test]
    fn escape_sequences_take_no_room_and_are_not_shown() {
        let shown: String = graphemes("a\u{1b}[31mb\u{202e}c\tx").map(|(_, grapheme)| grapheme).collect();
        assert_eq!(shown, "a[31mbc    x");
        assert_eq!(width("\u{7}ab\u{9b}"), 2);
    }

    proptest! {
        #[test]
        fn graphemes_are_unicodes(text in "[a-e \\r\\n\t日é👍\u{301}\u{200d}\u{fe0f}🇩🇪]{0,40}") {
            prop_assert_eq!(split(&text).collect::<Vec<_>>(), text.grapheme_indices(true).collect::<Vec<_>>());
        }

        #[test]
        fn rows_are_the_line_and_fit(line in "[a-z 日é👍\t]{0,60}", width in 1usize..20) {
            let found = rows(&line, width);
            prop_assert_eq!(found.concat(), line.as_str());
            for row in found {
                let trimmed = row.trim_end_matches([' ', '\t']);
                prop_assert!(super::width(trimmed) <= width || trimmed.graphemes(true).count() == 1, "{:?}", row);
            }
        }
    }
}
