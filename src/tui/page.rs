//! Text that is shown a window at a time: wrapped, scrolled, searched, and never wrapped as a whole.
//!
//! Only the lines in the window are wrapped, so that a document of megabytes costs what a page costs. Lines that are very
//! long are taken in pieces.

mod wrap;

use std::ops::Range;

pub(super) use wrap::{graphemes, width, wrap};

/// A line longer than this is taken in pieces, in bytes.
const PIECE: usize = 4096;

/// A row of a line: lines from zero, rows within a line from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Place {
    line: usize,
    row: usize,
}

/// A text and the window on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    text: String,
    /// Where lines start, in bytes.
    starts: Vec<usize>,
    top: Place,
    width: usize,
    height: usize,
    /// Whether the text grows while it is read, so that a window at the end stays there.
    grows: bool,
    /// Whether the window is there now.
    follows: bool,
    /// What is searched for; lower-case where case does not matter.
    query: String,
}

impl Page {
    /// A text, from its start.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let mut page = Self { width: 80, height: 24, ..Self::default() };
        page.push(&text.into());
        page
    }

    /// An empty text that is read as it grows.
    pub(crate) fn growing() -> Self {
        Self { grows: true, follows: true, ..Self::new("") }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds text at the end.
    pub(crate) fn push(&mut self, added: &str) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        let from = self.text.len();
        self.text.push_str(added);
        for end in added.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| from + at + 1) {
            self.cut_last_line(end);
            self.starts.push(end);
        }
        self.cut_last_line(self.text.len());
        if self.follows {
            self.end();
        }
    }

    /// Takes the last line, which goes to `end` so far, in pieces where it is too long.
    fn cut_last_line(&mut self, end: usize) {
        while let Some(start) = self.starts.last().copied()
            && end - start > PIECE
        {
            let most = self.text.floor_char_boundary(start + PIECE);
            let blank = self.text[start..most].rfind(' ').map(|at| start + at + 1);
            self.starts.push(blank.filter(|at| *at > start + PIECE / 2).unwrap_or(most));
        }
    }

    fn lines(&self) -> usize {
        self.starts.len()
    }

    /// A line's bytes, without its line feed.
    fn line(&self, line: usize) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let end = if self.text[start..end].ends_with('\n') { end - 1 } else { end };
        start..end
    }

    fn rows(&self, line: usize) -> Vec<Range<usize>> {
        let range = self.line(line);
        let rows = wrap(&self.text[range.clone()], self.width.max(1));
        rows.into_iter().map(|row| range.start + row.start..range.start + row.end).collect()
    }

    /// Gives the window its size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        let (width, height) = (usize::from(width), usize::from(height));
        if (self.width, self.height) == (width, height) {
            return;
        }
        (self.width, self.height) = (width, height);
        self.top.row = self.top.row.min(self.rows(self.top.line).len().saturating_sub(1));
        match self.follows {
            true => self.end(),
            false => self.top = self.top.min(self.last_top()),
        }
    }

    /// The rows in the window, as bytes of the text.
    pub(crate) fn visible(&self) -> Vec<Range<usize>> {
        let mut rows = Vec::new();
        let mut skip = self.top.row;
        for line in self.top.line..self.lines() {
            rows.extend(self.rows(line).into_iter().skip(skip));
            skip = 0;
            if rows.len() >= self.height {
                break;
            }
        }
        rows.truncate(self.height);
        rows
    }

    /// The place from which the window reaches to the end.
    fn last_top(&self) -> Place {
        let mut wanted = self.height.max(1);
        for line in (0..self.lines()).rev() {
            let rows = self.rows(line).len();
            if rows >= wanted {
                return Place { line, row: rows - wanted };
            }
            wanted -= rows;
        }
        Place::default()
    }

    /// Moves the window by rows, down where positive.
    pub(crate) fn scroll(&mut self, rows: isize) {
        for _ in 0..rows.unsigned_abs() {
            match rows > 0 {
                true if self.top.row + 1 < self.rows(self.top.line).len() => self.top.row += 1,
                true if self.top.line + 1 < self.lines() => self.top = Place { line: self.top.line + 1, row: 0 },
                false if self.top.row > 0 => self.top.row -= 1,
                false if self.top.line > 0 => {
                    let line = self.top.line - 1;
                    self.top = Place { line, row: self.rows(line).len().saturating_sub(1) };
                }
                _ => break,
            }
        }
        let last = self.last_top();
        self.top = self.top.min(last);
        self.follows = self.grows && self.top == last;
    }

    /// Moves the window by its height, down where positive.
    pub(crate) fn scroll_pages(&mut self, pages: isize) {
        let height = isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1);
        self.scroll(pages * height);
    }

    pub(crate) fn start(&mut self) {
        self.top = Place::default();
        self.follows = self.grows && self.top == self.last_top();
    }

    pub(crate) fn end(&mut self) {
        self.top = self.last_top();
        self.follows = self.grows;
    }

    /// Starts a search, from what is in the window on. Lower-case letters find upper-case ones too.
    pub(crate) fn search(&mut self, query: &str) -> bool {
        query.clone_into(&mut self.query);
        self.top.row = 0;
        self.find_from(self.top.line, true)
    }

    /// Moves to the next line with a match, or the one before; around the end of the text.
    pub(crate) fn find(&mut self, forward: bool) -> bool {
        let lines = self.lines().max(1);
        let from = if forward { self.top.line + 1 } else { self.top.line + lines - 1 };
        self.find_from(from % lines, forward)
    }

    fn find_from(&mut self, from: usize, forward: bool) -> bool {
        let lines = self.lines();
        if self.query.is_empty() || lines == 0 {
            return false;
        }
        let order = (0..lines).map(|step| if forward { from + step } else { from + lines - step } % lines);
        let any_case = !self.query.chars().any(char::is_uppercase);
        let matches = |line: &usize| {
            let text = &self.text[self.line(*line)];
            if any_case { text.to_lowercase().contains(&self.query) } else { text.contains(&self.query) }
        };
        let mut order = order;
        let Some(line) = order.find(matches) else { return false };
        self.top = Place { line, row: 0 }.min(self.last_top());
        self.follows = false;
        true
    }

    /// Where matches are, in what is in the window.
    pub(crate) fn matches(&self) -> Vec<Range<usize>> {
        if self.query.is_empty() {
            return Vec::new();
        }
        let rows = self.visible();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
        let any_case = !self.query.chars().any(char::is_uppercase);
        let pattern =
            regex_lite::RegexBuilder::new(&regex_lite::escape(&self.query)).case_insensitive(any_case).build();
        let Ok(pattern) = pattern else { return Vec::new() };
        let shown = &self.text[first.start..last.end.max(first.start)];
        pattern.find_iter(shown).map(|found| first.start + found.start()..first.start + found.end()).collect()
    }

    /// How far the window is, in percent; `None` where all of the text is in it.
    pub(crate) fn percent(&self) -> Option<usize> {
        let last = self.last_top();
        if last == Place::default() {
            return None;
        }
        let at = |place: Place| self.starts.get(place.line).copied().unwrap_or(0) + place.row;
        Some(if self.top >= last { 100 } else { at(self.top) * 100 / at(last).max(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &Page) -> Vec<&str> {
        page.visible().into_iter().map(|row| &page.text()[row]).collect()
    }

    fn page(text: &str) -> Page {
        let mut page = Page::new(text);
        page.resize(10, 3);
        page
    }

    #[test]
    fn windows_move_by_rows_and_stop_at_the_ends() {
        let mut page = page("one two three four\nfive\n\nsix");
        assert_eq!(shown(&page), ["one two ", "three four", "five"]);
        page.scroll(1);
        assert_eq!(shown(&page), ["three four", "five", ""]);
        page.scroll(99);
        assert_eq!(shown(&page), ["five", "", "six"]);
        assert_eq!(page.percent(), Some(100));
        page.scroll(-1);
        assert_eq!(shown(&page), ["three four", "five", ""]);
        page.scroll(-99);
        assert_eq!((shown(&page)[0], page.percent()), ("one two ", Some(0)));
    }

    #[test]
    fn growing_text_is_followed_unless_it_was_scrolled_up() {
        let mut page = Page::growing();
        page.resize(10, 2);
        for line in 0..5 {
            page.push(&format!("line {line}\n"));
        }
        assert_eq!(shown(&page), ["line 4", ""]);
        page.scroll(-2);
        page.push("more\n");
        assert_eq!(shown(&page), ["line 2", "line 3"]);
        page.end();
        page.push("last");
        assert_eq!(shown(&page), ["more", "last"]);
    }

    #[test]
    fn searches_go_around() {
        let mut page = page("a\nB needle\nc\nd\ne\nf Needle\ng");
        assert!(page.search("needle"));
        assert_eq!(shown(&page)[0], "B needle");
        assert_eq!(page.matches().first(), Some(&(4..10)));
        assert!(page.find(true));
        assert_eq!(shown(&page), ["e", "f Needle", "g"]);
        assert!(page.search("Needle") && !page.search("nothing"));
    }

    #[test]
    fn a_line_of_megabytes_is_taken_in_pieces() {
        let mut page = page(&"word ".repeat(1_000_000));
        page.scroll(3);
        assert_eq!(shown(&page), ["word word "; 3]);
        page.end();
        assert_eq!(page.visible().last().unwrap().end, page.text().len());
        let mut glued = self::page(&"é".repeat(10_000));
        glued.end();
        assert_eq!(shown(&glued)[0].chars().count(), 10);
    }
}
