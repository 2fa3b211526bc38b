//! The column on the left: documents, tasks, and what a run would do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::tui::app::{App, Pane, bytes, window};
use crate::tui::theme::{Role, Theme};

use super::{count, frame_in, framed, passes};

pub(super) fn documents(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let documents = app.documents();
    let focused = app.focus() == Pane::Documents;
    let inner = frame_in(framed(theme, vec!["Documents".into()], focused), frame, area);
    if documents.list().is_empty() {
        frame.render_widget(Paragraph::new("none yet").style(theme[Role::Muted]), inner);
        return;
    }
    let reference = documents.reference().map(|document| document.version);
    let row = |(index, document): (usize, &crate::tui::app::Document)| {
        let mark = if Some(document.version) == reference { "≈" } else { " " };
        let role = match index == documents.index() {
            true if focused => Role::Selected,
            true => Role::Title,
            false => Role::Text,
        };
        let line = Line::from(vec![Span::styled(mark, theme[Role::Good]), Span::raw(document.name.clone())]);
        line.style(theme[role])
    };
    let rows = documents.list().iter().enumerate().map(row);
    let window = documents.window(usize::from(inner.height));
    let lines: Vec<Line<'_>> = rows.skip(window.start).take(window.len()).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

pub(super) fn tasks(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let choice = app.choice();
    let focused = app.focus() == Pane::Tasks;
    let inner = frame_in(framed(theme, vec!["Tasks".into()], focused), frame, area);
    let row = |(index, item): (usize, &crate::tui::app::TaskItem)| {
        let key = if index < 9 { (index + 1).to_string() } else { " ".to_owned() };
        let (mark, role) = match (item.on, item.blocked.is_some()) {
            (true, _) => ("●", Role::Good),
            (false, true) => ("–", Role::Muted),
            (false, false) => ("○", Role::Text),
        };
        let line = Line::from(vec![
            Span::styled(key, theme[Role::Key]),
            Span::styled(format!(" {mark} "), theme[role]),
            Span::styled(item.id.clone(), theme[role]),
        ]);
        if focused && index == choice.cursor() { line.style(theme[Role::Selected]) } else { line }
    };
    let window = window(choice.cursor(), choice.items().len(), usize::from(inner.height));
    let rows = choice.items().iter().enumerate().map(row);
    let lines: Vec<Line<'_>> = rows.skip(window.start).take(window.len()).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// What a run would do: strategy, adapters, passes, bytes; or why it cannot.
pub(super) fn plan(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let measured = &app.link().measured;
    let method = app.choice().method;
    let inner = frame_in(framed(theme, vec![format!("Method: {method}").into()], false), frame, area);
    let mut lines = Vec::new();
    let blocked = app.choice().items().get(app.choice().cursor()).and_then(|item| item.blocked.clone());
    if let Some(why) = blocked.filter(|_| app.focus() == Pane::Tasks) {
        lines.push(Line::styled(why, theme[Role::Warn]));
    } else if let Some(problem) = &measured.problem {
        lines.push(Line::styled(problem.message.clone(), theme[Role::Error]));
    } else if let Some(summary) = &measured.summary {
        let passes = passes(summary.passes);
        lines.push(Line::from(vec![
            Span::styled(summary.strategy.clone(), theme[Role::Good]),
            Span::raw(format!(", {passes}")),
        ]));
        for (name, weight) in &summary.adapters {
            let weight =
                if summary.passes > 1 { String::new() } else { format!("{} × ", (weight * 100.0).round() / 100.0) };
            lines.push(Line::raw(format!("{weight}{name}")));
        }
        if summary.calibrated {
            lines.push(Line::raw(format!("calibration, +{}", bytes(summary.extra_bytes))));
        }
        lines.push(Line::styled(format!("up to {}", count(summary.max_tokens as usize, "token")), theme[Role::Muted]));
        lines.extend(summary.notes.iter().map(|note| Line::styled(note.clone(), theme[Role::Muted])));
    } else if app.choice().tasks().is_empty() {
        lines.push(Line::styled("no task is on", theme[Role::Muted]));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), inner);
}
