//! Everything that can be done, as a table: the word for it in the configuration, what it does, its keys, where they count.

/// Something that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Starts a run.
    Run,
    /// Ends the run.
    Cancel,
    /// Ends the run, or nfold where nothing runs.
    Interrupt,
    /// Moves the focus on.
    NextPane,
    /// Moves the focus back.
    PreviousPane,
    /// Moves up.
    Up,
    /// Moves down.
    Down,
    /// Moves up by a page.
    PageUp,
    /// Moves down by a page.
    PageDown,
    /// Moves to the start.
    Start,
    /// Moves to the end.
    End,
    /// Turns the task under the cursor on or off.
    Toggle,
    /// Chooses another language to translate into.
    Language,
    /// Takes the next method.
    Method,
    /// Changes weights, length and sampling.
    Options,
    /// Runs several methods side by side.
    Compare,
    /// Shows what differs between answers, or no more.
    Difference,
    /// Opens files.
    Open,
    /// Starts an empty document.
    New,
    /// Edits the document here.
    Edit,
    /// Edits the document in `$EDITOR`.
    EditExternally,
    /// Closes the document.
    Close,
    /// Shows the next document.
    NextDocument,
    /// Shows the document before.
    PreviousDocument,
    /// Makes the document the text that answers are scored against, or no more.
    Reference,
    /// Searches.
    Search,
    /// Moves to the next match.
    NextMatch,
    /// Moves to the match before.
    PreviousMatch,
    /// Copies the answer.
    Copy,
    /// Saves the answer.
    Save,
    /// Shows earlier runs.
    History,
    /// Chooses a model.
    Models,
    /// Chooses a theme.
    Themes,
    /// Turns the mouse on or off.
    Mouse,
    /// Lists all that can be done.
    Palette,
    /// Shows the keys.
    Help,
    /// Draws everything anew.
    Redraw,
    /// Stops nfold until the shell takes it up again.
    Suspend,
    /// Ends nfold.
    Quit,
}

/// Where a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In every pane.
    Everywhere,
    /// Where tasks have the focus.
    Tasks,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The action.
    pub action: Action,
    /// The word for it in the configuration.
    pub word: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Its keys, where the configuration names no others.
    pub keys: &'static [&'static str],
    /// Where they count.
    pub scope: Scope,
}

const fn row(action: Action, word: &'static str, does: &'static str, keys: &'static [&'static str]) -> Row {
    Row { action, word, does, keys, scope: Scope::Everywhere }
}

/// Every action, in the order in which they are listed. None of the keys is one that tmux, screen or terminals keep for themselves.
pub(super) const TABLE: [Row; 39] = [
    row(Action::Run, "run", "run the tasks on the document", &["enter"]),
    row(Action::Cancel, "cancel", "end the run, keep what came", &["esc"]),
    row(Action::NextPane, "next-pane", "next pane", &["tab"]),
    row(Action::PreviousPane, "previous-pane", "previous pane", &["backtab"]),
    row(Action::Up, "up", "up", &["up", "k"]),
    row(Action::Down, "down", "down", &["down", "j"]),
    row(Action::PageUp, "page-up", "page up", &["pageup", "ctrl-u"]),
    row(Action::PageDown, "page-down", "page down", &["pagedown", "ctrl-d"]),
    row(Action::Start, "start", "to the start", &["home", "g"]),
    row(Action::End, "end", "to the end", &["end", "G"]),
    Row { scope: Scope::Tasks, ..row(Action::Toggle, "toggle", "turn the task on or off", &["space"]) },
    row(Action::Language, "language", "translate into another language", &["L"]),
    row(Action::Method, "method", "next method", &["m"]),
    row(Action::Options, "options", "weights, length, sampling", &["o"]),
    row(Action::Compare, "compare", "run methods side by side", &["c"]),
    row(Action::Difference, "difference", "show what differs between answers", &["d"]),
    row(Action::Open, "open", "open files", &["f"]),
    row(Action::New, "new", "new document", &["a"]),
    row(Action::Edit, "edit", "edit the document", &["i"]),
    row(Action::EditExternally, "edit-externally", "edit the document in $EDITOR", &["E"]),
    row(Action::Close, "close", "close the document", &["x"]),
    row(Action::NextDocument, "next-document", "next document", &["]"]),
    row(Action::PreviousDocument, "previous-document", "previous document", &["["]),
    row(Action::Reference, "reference", "score answers against this document", &["R"]),
    row(Action::Search, "search", "search", &["/"]),
    row(Action::NextMatch, "next-match", "next match", &["n"]),
    row(Action::PreviousMatch, "previous-match", "previous match", &["N"]),
    row(Action::Copy, "copy", "copy the answer", &["y"]),
    row(Action::Save, "save", "save the answer", &["w"]),
    row(Action::History, "history", "earlier runs", &["H"]),
    row(Action::Models, "models", "choose a model", &["M"]),
    row(Action::Themes, "themes", "choose a theme", &["T"]),
    row(Action::Mouse, "mouse", "turn the mouse on or off", &["f2"]),
    row(Action::Palette, "palette", "all that can be done", &[":", "ctrl-p"]),
    row(Action::Help, "help", "keys", &["?", "f1"]),
    row(Action::Redraw, "redraw", "draw everything anew", &["ctrl-l"]),
    row(Action::Suspend, "suspend", "back to the shell for a while", &["ctrl-z"]),
    row(Action::Interrupt, "interrupt", "end the run, else nfold", &["ctrl-c"]),
    row(Action::Quit, "quit", "end nfold", &["q"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_every_action_once() {
        let words: BTreeSet<&str> = TABLE.iter().map(|row| row.word).collect();
        let actions: BTreeSet<Action> = TABLE.iter().map(|row| row.action).collect();
        assert_eq!((words.len(), actions.len()), (TABLE.len(), TABLE.len()));
    }
}
