//! The lines above and below: what runs, what was said, which keys there are.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::sanitize::sanitize;
use crate::tui::action::Action;
use crate::tui::app::{App, Pane, Phase};
use crate::tui::page::{width, wrap};
use crate::tui::theme::{Role, Theme};

use super::count;

pub(super) fn title(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let left = Line::from(vec![
        Span::styled(" nfold ", theme[Role::Title]),
        Span::styled(sanitize(app.model_name()), theme[Role::Muted]),
    ]);
    frame.render_widget(Paragraph::new(left), area);
    let (text, role) = engine(app);
    let right = Line::styled(format!("{text} "), theme[role]);
    frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), area);
}

/// What the engine is doing, in a word.
fn engine(app: &App) -> (String, Role) {
    let link = app.link();
    match () {
        () if link.dead => ("the engine is down".to_owned(), Role::Error),
        () if link.pull.is_some() => ("downloading".to_owned(), Role::Busy),
        () if app.answers().is_running() => ("running".to_owned(), Role::Busy),
        () => match link.loading {
            Some(share) => (format!("loading the model, {:.0} %", share * 100.0), Role::Busy),
            None if link.measured.problem.is_some() => ("not ready".to_owned(), Role::Warn),
            None if link.measured.tokens.is_some() => ("ready".to_owned(), Role::Good),
            None => (String::new(), Role::Muted),
        },
    }
}

/// The last message, else what the run that goes on has taken so far, else the settings.
pub(super) fn status(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (text, role) = match (app.message(), app.answers().running().or_else(|| app.answers().current())) {
        (Some(Ok(message)), _) => (message.clone(), Role::Good),
        (Some(Err(message)), _) => (message.clone(), Role::Error),
        (None, Some(answer)) => {
            let mut parts = Vec::new();
            if let (Phase::Failed(problem), false) = (&answer.phase, answer.page.is_empty()) {
                parts.push(problem.message.clone());
            }
            parts.extend(answer.first_token.map(|time| format!("first token after {:.2} s", time.as_secs_f64())));
            let prompt = app.link().measured.tokens.filter(|_| !answer.phase.is_over());
            let context = answer.figures.as_ref().map(|figures| {
                ((figures.prompt + figures.output).min(figures.context as usize), figures.context as usize)
            });
            let used = context.or_else(|| prompt.map(|(prompt, limit)| (prompt + answer.tokens, limit)));
            parts.extend(used.map(|(used, of)| format!("context {used} of {of}")));
            parts.extend(answer.figures.as_ref().map(|figures| {
                format!(
                    "prompt {} at {:.0} tok/s, {}",
                    figures.prompt,
                    figures.prefill_speed(),
                    count(figures.threads, "thread")
                )
            }));
            (parts.join(" · "), if app.answers().is_running() { Role::Busy } else { Role::Muted })
        }
        (None, None) => (app.choice().settings(app.config()), Role::Muted),
    };
    let text = sanitize(&text).replace('\n', " ");
    let rows = wrap(&text, usize::from(area.width.saturating_sub(2)));
    let lines: Vec<Line<'_>> =
        rows.into_iter().map(|row| Line::styled(format!(" {}", &text[row]), theme[role])).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// The keys that matter here, as many as fit.
pub(super) fn hints(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let keymap = app.keymap();
    let mut hints: Vec<(String, &str)> = Vec::new();
    let mut hint = |action: Action, does| hints.push((keymap.key(action), does));
    match app.answers().is_running() {
        true => hint(Action::Cancel, "stop"),
        false => hint(Action::Run, "run"),
    }
    match app.focus() {
        Pane::Documents => {
            hint(Action::Open, "open");
            hint(Action::Edit, "edit");
            hint(Action::Close, "close");
            hint(Action::Reference, "reference");
        }
        Pane::Tasks => {
            hint(Action::Toggle, "on/off");
            hint(Action::Language, "language");
            hint(Action::Method, "method");
            hint(Action::Options, "options");
        }
        Pane::Document => {
            hint(Action::Edit, "edit");
            hint(Action::Search, "search");
            hint(Action::Open, "open");
        }
        Pane::Answer => {
            hint(Action::Copy, "copy");
            hint(Action::Save, "save");
            hint(Action::Compare, "compare");
            hint(Action::Method, "method");
        }
    }
    hint(Action::NextPane, "pane");
    hint(Action::Palette, "all");
    hint(Action::Help, "keys");
    hint(Action::Quit, "quit");
    let (mut spans, mut used) = (Vec::new(), 0);
    for (key, does) in hints.into_iter().filter(|(key, _)| !key.is_empty()) {
        used += width(&key) + width(does) + 3;
        if used > usize::from(area.width) {
            break;
        }
        spans.push(Span::styled(format!(" {key}"), theme[Role::Key]));
        spans.push(Span::styled(format!(" {does} "), theme[Role::Muted]));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
