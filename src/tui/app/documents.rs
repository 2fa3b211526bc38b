//! The documents that are open.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::tui::page::Page;

/// A text that tasks are done on.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) page: Page,
    pub(crate) words: usize,
    /// Tells documents apart, whatever becomes of their texts.
    pub(crate) id: DocumentId,
    /// Tells texts apart: a changed text has another.
    pub(crate) version: u64,
}

/// Tells documents apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentId(u64);

/// What answers came from: a document as it was when they were begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) version: u64,
}

/// Documents, one of which is shown.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    list: Vec<Document>,
    current: usize,
    versions: u64,
    /// The document that answers are scored against.
    reference: Option<DocumentId>,
}

impl Documents {
    pub(crate) fn list(&self) -> &[Document] {
        &self.list
    }

    pub(crate) fn index(&self) -> usize {
        self.current
    }

    pub(crate) fn current(&self) -> Option<&Document> {
        self.list.get(self.current)
    }

    pub(crate) fn current_mut(&mut self) -> Option<&mut Document> {
        self.list.get_mut(self.current)
    }

    /// Adds a document and shows it. A file that is open already is read anew into its place.
    pub(crate) fn open(&mut self, name: &str, path: Option<&Path>, text: impl Into<String>) -> DocumentId {
        if let Some(at) = path.and_then(|path| self.list.iter().position(|open| open.path.as_deref() == Some(path))) {
            self.current = at;
            let id = self.list[at].id;
            self.replace(id, text.into());
            return id;
        }
        self.versions += 1;
        let page = Page::new(text);
        let id = DocumentId(self.versions);
        self.list.push(Document {
            name: name.to_owned(),
            path: path.map(Path::to_path_buf),
            words: page.text().split_whitespace().count(),
            page,
            id,
            version: self.versions,
        });
        self.current = self.list.len() - 1;
        id
    }

    /// A name for a text that came without one.
    pub(crate) fn new_name(&self, kind: &str) -> String {
        let taken = |name: &String| self.list.iter().any(|document| document.name == *name);
        let mut names = (1..).map(|number| format!("{kind} {number}"));
        names.find(|name| !taken(name)).unwrap_or_default()
    }

    pub(crate) fn get(&self, id: DocumentId) -> Option<&Document> {
        self.list.iter().find(|document| document.id == id)
    }

    /// Gives a document another text.
    pub(crate) fn replace(&mut self, id: DocumentId, text: String) {
        self.versions += 1;
        let version = self.versions;
        if let Some(document) = self.list.iter_mut().find(|document| document.id == id) {
            document.words = text.split_whitespace().count();
            document.page = Page::new(text);
            document.version = version;
        }
    }

    pub(crate) fn close(&mut self, id: DocumentId) {
        if let Some(at) = self.list.iter().position(|document| document.id == id) {
            self.list.remove(at);
            self.current -= usize::from(self.current > at);
            self.current = self.current.min(self.list.len().saturating_sub(1));
        }
    }

    /// Shows another document, further down where positive; stays at the ends.
    pub(crate) fn step(&mut self, by: isize) {
        self.current = self.current.saturating_add_signed(by).min(self.list.len().saturating_sub(1));
    }

    /// Shows the next one, from the last on the first again.
    pub(crate) fn cycle(&mut self, forward: bool) {
        let count = self.list.len().max(1);
        self.current = (self.current + if forward { 1 } else { count - 1 }) % count;
    }

    pub(crate) fn select(&mut self, index: usize) {
        if index < self.list.len() {
            self.current = index;
        }
    }

    /// Makes the current document the reference, or no more. Gives whether it is one now.
    pub(crate) fn toggle_reference(&mut self) -> bool {
        let id = self.current().map(|document| document.id);
        self.reference = id.filter(|_| id != self.reference);
        self.reference.is_some()
    }

    pub(crate) fn reference(&self) -> Option<&Document> {
        self.reference.and_then(|id| self.get(id))
    }

    /// The documents that fit into so many rows, the current one among them.
    pub(crate) fn window(&self, rows: usize) -> Range<usize> {
        window(self.current, self.list.len(), rows)
    }
}

/// The part of a list that fits into so many rows, the row under the cursor among them.
pub(crate) fn window(cursor: usize, count: usize, rows: usize) -> Range<usize> {
    let start = (cursor + 1).saturating_sub(rows.max(1));
    start..count.min(start + rows)
}
