//! What lies over the panes: a list to choose from, a line to fill in, the sliders, a text.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui_textarea::TextArea;

use crate::history::Entry;
use crate::strategy::Method;
use crate::tui::action::Action;
use crate::tui::page::Page;

use super::documents::DocumentId;

/// What lies over the panes.
#[derive(Debug)]
pub(crate) enum Popup {
    /// A list to choose from.
    Chooser(Chooser),
    /// A line to fill in.
    Prompt(Box<Prompt>),
    /// The sliders, with the row under the cursor.
    Options(usize),
    /// A text to read, with its title.
    Text(&'static str, Page),
    /// A document as it is edited.
    Editor(DocumentId, Box<TextArea<'static>>),
}

/// What a list is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to do.
    Palette,
    /// Files of a folder.
    Files {
        folder: PathBuf,
        /// Whether hidden ones are shown.
        hidden: bool,
    },
    /// A theme; the name of the one before, to go back to.
    Themes(String),
    /// A base model.
    Models,
    /// An earlier run.
    History,
    /// Methods to compare.
    Methods,
}

/// What a row stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Action(Action),
    Folder(PathBuf),
    File(PathBuf),
    Theme(String),
    Model(String),
    Entry(Box<Entry>),
    Method(Method),
}

/// A row to choose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) note: String,
    pub(crate) what: What,
}

/// A list to choose from by typing parts of a name.
#[derive(Debug)]
pub(crate) struct Chooser {
    pub(crate) purpose: For,
    items: Vec<Item>,
    pub(crate) filter: String,
    /// The items that fit the filter, the best first.
    shown: Vec<usize>,
    cursor: usize,
    marked: BTreeSet<usize>,
    /// What is shown beside the list.
    pub(crate) preview: Option<Page>,
    /// What stands in the place of an empty list.
    pub(crate) note: Option<String>,
}

/// What a key came to in a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Chosen {
    /// Nothing to do.
    Nothing,
    /// The cursor or the filter moved.
    Moved,
    /// The list was left.
    Left,
    /// These rows were taken.
    Taken(Vec<What>),
    /// The folder above is asked for.
    Up,
    /// Hidden files are to be shown, or no more.
    Hidden,
    /// This row is to be removed.
    Delete(What),
}

impl Chooser {
    pub(crate) fn new(purpose: For, items: Vec<Item>) -> Self {
        let shown = (0..items.len()).collect();
        let (filter, marked) = (String::new(), BTreeSet::new());
        Self { purpose, items, filter, shown, cursor: 0, marked, preview: None, note: None }
    }

    /// Gives the list other rows; filter and, where it still fits, cursor stay.
    pub(crate) fn set(&mut self, items: Vec<Item>, note: Option<String>) {
        (self.items, self.note) = (items, note);
        self.marked.clear();
        let cursor = self.cursor;
        self.refilter();
        self.cursor = cursor.min(self.shown.len().saturating_sub(1));
    }

    /// The rows in their order, with whether they are marked.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = (&Item, bool)> {
        self.shown.iter().map(|index| (&self.items[*index], self.marked.contains(index)))
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn move_to(&mut self, fits: impl Fn(&What) -> bool) {
        self.cursor = self.shown.iter().position(|index| fits(&self.items[*index].what)).unwrap_or(self.cursor);
    }

    pub(crate) fn current(&self) -> Option<&Item> {
        self.shown.get(self.cursor).map(|index| &self.items[*index])
    }

    /// Whether several rows can be taken.
    pub(crate) fn marks(&self) -> bool {
        matches!(self.purpose, For::Files { .. } | For::Methods)
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Chosen {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let files = matches!(self.purpose, For::Files { .. });
        match key.code {
            KeyCode::Esc => Chosen::Left,
            KeyCode::Char('c') if control => Chosen::Left,
            KeyCode::Up => self.step(-1),
            KeyCode::Down => self.step(1),
            KeyCode::Char('p') if control => self.step(-1),
            KeyCode::Char('n') if control => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown => self.step(10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Tab if self.marks() => self.toggle_mark(),
            KeyCode::Enter => self.take(),
            KeyCode::Char('t') if control && files => Chosen::Hidden,
            KeyCode::Delete => self.delete(),
            KeyCode::Char('x') if control => self.delete(),
            KeyCode::Char('u') if control => self.type_in(String::clear),
            KeyCode::Backspace | KeyCode::Left if files && self.filter.is_empty() => Chosen::Up,
            KeyCode::Backspace => self.type_in(|filter| {
                let _ = filter.pop();
            }),
            KeyCode::Char(letter) if !control => self.type_in(|filter| filter.push(letter)),
            _ => Chosen::Nothing,
        }
    }

    pub(crate) fn paste(&mut self, text: &str) -> Chosen {
        self.type_in(|filter| filter.extend(text.chars().filter(|letter| !letter.is_control())))
    }

    fn type_in(&mut self, change: impl FnOnce(&mut String)) -> Chosen {
        change(&mut self.filter);
        self.refilter();
        Chosen::Moved
    }

    fn step(&mut self, by: isize) -> Chosen {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.shown.len().saturating_sub(1));
        Chosen::Moved
    }

    pub(crate) fn select(&mut self, row: usize) {
        self.cursor = row.min(self.shown.len().saturating_sub(1));
    }

    fn toggle_mark(&mut self) -> Chosen {
        if let Some(index) =
            self.shown.get(self.cursor).filter(|index| !matches!(self.items[**index].what, What::Folder(_)))
            && !self.marked.remove(index)
        {
            self.marked.insert(*index);
        }
        self.step(1)
    }

    /// The marked rows, or the one under the cursor.
    fn take(&mut self) -> Chosen {
        let mut taken: Vec<What> = self.marked.iter().map(|index| self.items[*index].what.clone()).collect();
        if taken.is_empty() {
            taken.extend(self.current().map(|item| item.what.clone()));
        }
        if taken.is_empty() { Chosen::Nothing } else { Chosen::Taken(taken) }
    }

    fn delete(&self) -> Chosen {
        match self.current() {
            Some(item) if self.purpose == For::History => Chosen::Delete(item.what.clone()),
            _ => Chosen::Nothing,
        }
    }

    fn refilter(&mut self) {
        self.cursor = 0;
        if self.filter.is_empty() {
            self.shown = (0..self.items.len()).collect();
            return;
        }
        let pattern = Pattern::parse(&self.filter, CaseMatching::Smart, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let (mut letters, mut found) = (Vec::new(), Vec::new());
        for (index, item) in self.items.iter().enumerate() {
            let text = format!("{} {}", item.label, item.note);
            let score = pattern.score(Utf32Str::new(&text, &mut letters), &mut matcher);
            found.extend(score.map(|score| (std::cmp::Reverse(score), index)));
        }
        found.sort();
        self.shown = found.into_iter().map(|(_, index)| index).collect();
    }
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Where to save the answer.
    Save,
    /// What to search.
    Search,
    /// A language.
    Language,
    /// Whether to write over the file of this name.
    Overwrite,
}

/// A line to fill in.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) asked: Asked,
    pub(crate) line: TextArea<'static>,
}

impl Prompt {
    pub(crate) fn new(asked: Asked, text: &str) -> Self {
        let mut line = TextArea::new(vec![text.to_owned()]);
        line.move_cursor(ratatui_textarea::CursorMove::End);
        Self { asked, line }
    }

    pub(crate) fn text(&self) -> String {
        self.line.lines().first().cloned().unwrap_or_default()
    }
}
