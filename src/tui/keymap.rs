//! Which key does what: the table of actions with the configuration's `[keys]` over it.

use std::collections::BTreeMap;

use crokey::{KeyCombination, KeyCombinationFormat, ParseKeyError};
use crossterm::event::KeyEvent;

use crate::suggest::nearest;

use super::action::{Action, Row, Scope, TABLE};

/// Keys and what they do.
#[derive(Debug, Clone)]
pub struct Keymap {
    /// Each action with its keys, in the table's order.
    bindings: Vec<(Row, Vec<KeyCombination>)>,
}

/// What is wrong with the configuration's `[keys]`: all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct KeymapError(pub Vec<String>);

impl Keymap {
    /// The table's keys, and the user's for those actions that the user names.
    pub fn new(keys: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let mut problems = Vec::new();
        for word in keys.keys().filter(|word| TABLE.iter().all(|row| row.word != **word)) {
            let hint = nearest(word, TABLE.iter().map(|row| row.word));
            let hint = hint.map_or_else(String::new, |word| format!(", did you mean `{word}`?"));
            problems.push(format!("`keys.{word}` is no action{hint}"));
        }
        let mut bindings = Vec::new();
        for row in TABLE {
            let usual = || row.keys.iter().map(|key| (*key).to_owned()).collect();
            let texts: Vec<String> = keys.get(row.word).cloned().unwrap_or_else(usual);
            let mut found = Vec::new();
            for text in texts {
                match parse(&text) {
                    Ok(key) if is_digit(key) => {
                        problems.push(format!("`{text}` turns a task on; `keys.{}` cannot have it", row.word));
                    }
                    Ok(key) => found.push(key.normalized()),
                    Err(_) => problems
                        .push(format!("`keys.{}`: `{text}` is no key (as in `ctrl-p`, `f5`, `enter`, `G`)", row.word)),
                }
            }
            bindings.push((row, found));
        }
        problems.extend(conflicts(&bindings));
        match problems.is_empty() {
            true => Ok(Self { bindings }),
            false => Err(KeymapError(problems)),
        }
    }

    /// What a key does; `tasks` says whether tasks have the focus.
    #[must_use]
    pub fn action(&self, key: KeyEvent, scope: Scope) -> Option<Action> {
        let key = KeyCombination::from(key).normalized();
        let counts = |row: &Row| row.scope == Scope::Everywhere || row.scope == scope;
        let found = self.bindings.iter().find(|(row, keys)| counts(row) && keys.contains(&key));
        found.map(|(row, _)| row.action)
    }

    /// Every action with its keys as people read them.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, String)> {
        self.bindings.iter().map(|(row, keys)| {
            let names: Vec<String> = keys.iter().map(|key| name(*key)).collect();
            (row, names.join(", "))
        })
    }

    /// The first key of an action; empty where it has none.
    #[must_use]
    pub fn key(&self, action: Action) -> String {
        let row = self.bindings.iter().find(|(row, _)| row.action == action);
        row.and_then(|(_, keys)| keys.first()).map_or_else(String::new, |key| name(*key))
    }
}

/// A key as people write it: a capital letter is itself, not the small one.
fn parse(text: &str) -> Result<KeyCombination, ParseKeyError> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_uppercase() => format!("shift-{letter}").parse(),
        _ => text.parse(),
    }
}

fn name(key: KeyCombination) -> String {
    let format = KeyCombinationFormat::default().with_lowercase_modifiers().with_implicit_shift();
    match format.to_string(key).as_str() {
        "shift-BackTab" | "BackTab" => "shift-tab".to_owned(),
        "Up" => "↑".to_owned(),
        "Down" => "↓".to_owned(),
        text => text.to_owned(),
    }
}

/// Digits turn tasks on and off.
fn is_digit(key: KeyCombination) -> bool {
    key.as_letter().is_some_and(|letter| letter.is_ascii_digit())
}

fn conflicts(bindings: &[(Row, Vec<KeyCombination>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, (row, keys)) in bindings.iter().enumerate() {
        for (other, others) in &bindings[..index] {
            let both = keys.iter().filter(|key| others.contains(key));
            found.extend(both.map(|key| format!("`{}` is both `{}` and `{}`", name(*key), other.word, row.word)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};

    fn keys(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        pairs.iter().map(|(word, texts)| ((*word).to_owned(), own(texts))).collect()
    }

    #[test]
    fn usual_keys_do_not_clash() {
        let keymap = Keymap::new(&BTreeMap::new()).unwrap();
        let press = |code, modifiers| keymap.action(KeyEvent::new(code, modifiers), Scope::Everywhere);
        assert_eq!(press(KeyCode::Enter, KeyModifiers::NONE), Some(Action::Run));
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Action::End));
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::NONE), Some(Action::End));
        assert_eq!(press(KeyCode::Char('g'), KeyModifiers::NONE), Some(Action::Start));
        assert_eq!(press(KeyCode::BackTab, KeyModifiers::SHIFT), Some(Action::PreviousPane));
        assert_eq!(press(KeyCode::Char('?'), KeyModifiers::NONE), Some(Action::Help));
        assert_eq!(press(KeyCode::Char('p'), KeyModifiers::CONTROL), Some(Action::Palette));
        assert_eq!(press(KeyCode::Char(' '), KeyModifiers::NONE), None);
        // tmux, screen, and flow control.
        for taken in ['b', 'a', 's', 'q'] {
            assert_eq!(press(KeyCode::Char(taken), KeyModifiers::CONTROL), None);
        }
    }

    #[test]
    fn the_users_keys_take_the_place_of_the_usual_ones() {
        let keymap = Keymap::new(&keys(&[("run", &["f5"]), ("quit", &["ctrl-x", "q"])])).unwrap();
        let press = |code, modifiers| keymap.action(KeyEvent::new(code, modifiers), Scope::Everywhere);
        assert_eq!(press(KeyCode::F(5), KeyModifiers::NONE), Some(Action::Run));
        assert_eq!(press(KeyCode::Enter, KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(keymap.key(Action::Run), "F5");
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let wrong = keys(&[("run", &["y"]), ("quti", &["q"]), ("help", &["hyper-q"]), ("save", &["1"])]);
        let error = Keymap::new(&wrong).unwrap_err().to_string();
        for part in
            ["did you mean `quit`", "`hyper-q` is no key", "`1` turns a task on", "`y` is both `run` and `copy`"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
