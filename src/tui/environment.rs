//! What the environment says of the terminal and the user's programs.

use std::env;

use super::theme::Depth;

/// Read once, at the start.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    pub(super) depth: Depth,
    /// The user's editor, as the shell would run it.
    pub(super) editor: Option<String>,
    pub(super) tmux: bool,
    /// Whether the terminal is on another machine than nfold.
    pub(super) remote: bool,
    /// Whether the terminal is one of those that know no way to a clipboard.
    pub(super) plain: bool,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the interface's one place")]
    pub(super) fn read() -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let is_set = |name: &str| variable(name).is_some();
        let term = variable("TERM").unwrap_or_default();
        Self {
            depth: Depth::of(is_set("NO_COLOR"), &term, &variable("COLORTERM").unwrap_or_default()),
            editor: variable("VISUAL").or_else(|| variable("EDITOR")),
            tmux: is_set("TMUX"),
            remote: is_set("SSH_TTY"),
            plain: matches!(term.as_str(), "" | "dumb" | "linux"),
        }
    }
}
