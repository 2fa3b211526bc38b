//! What comes in and what goes out: the interface is a function from events to effects.

use std::path::PathBuf;
use std::sync::Arc;

use crate::document::Text;
use crate::history::Entry;
use crate::worker::{self, Command, Died};

use super::documents::DocumentId;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key, a paste, a mouse, a size.
    Terminal(crossterm::event::Event),
    /// The engine tells something.
    Engine(worker::Event),
    /// The engine's process ended.
    Died(Died),
    /// A file was read, or could not be.
    Opened(PathBuf, Result<Text, String>),
    /// A folder was read, or could not be: its folders and files.
    Listed(PathBuf, Result<Vec<Listed>, String>),
    /// The head of a file, to be shown beside its name.
    Previewed(PathBuf, String),
    /// The editor was left with this text.
    Edited(DocumentId, String),
    /// What models there are.
    Models(Vec<Model>),
    /// What themes there are.
    Themes(Vec<String>),
    /// Earlier runs, and the time now in microseconds since 1970.
    History(Vec<Entry>, u64),
    /// A file of that name is there already.
    Exists(PathBuf),
    /// An effect has come to this.
    Told(Result<String, String>),
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its size in bytes.
    pub size: u64,
}

/// A base model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Whether it is on this machine.
    pub here: bool,
    /// Its size in bytes, where that is known.
    pub size: Option<u64>,
}

/// Something to be done outside. That is all that the interface can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send the engine a command.
    Send(Command),
    /// Send the engine the document that the commands after it are about.
    SendDocument(Arc<str>),
    /// Start the engine's process again.
    Restart,
    /// Read files.
    Open(Vec<PathBuf>),
    /// Read a folder.
    List {
        /// The folder.
        folder: PathBuf,
        /// Whether hidden files are wanted.
        hidden: bool,
    },
    /// Read the head of a file.
    Preview(PathBuf),
    /// Edit a document's text in `$EDITOR`.
    Edit(DocumentId, String),
    /// Put a text where it can be pasted from.
    Copy(String),
    /// Write a file.
    Save {
        /// Its path, `~` and all.
        path: PathBuf,
        /// What it holds.
        text: String,
        /// Whether a file of that name is written over.
        overwrite: bool,
    },
    /// Keep a run.
    Remember(Box<Entry>),
    /// Read earlier runs.
    ReadHistory,
    /// Delete the run of that time, and read those that are left.
    Forget(u64),
    /// Find out what models there are.
    ListModels,
    /// Find out what themes there are.
    ListThemes,
    /// Use a theme.
    Theme(String),
    /// Turn the mouse on or off.
    Mouse(bool),
    /// Draw everything anew.
    Redraw,
    /// Stop until the shell takes nfold up again.
    Suspend,
    /// End.
    Quit,
}
