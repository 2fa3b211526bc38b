//! What lies over the panes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};
use ratatui_textarea::TextArea;

use crate::tui::app::{App, Asked, Chooser, For, Popup, option_rows, window};
use crate::tui::page::width;
use crate::tui::theme::{Role, Theme};

use super::{frame_in, framed, layout, texts};

pub(super) fn popup(app: &App, theme: &Theme, frame: &mut Frame<'_>, screen: Rect) {
    match app.popup() {
        None => {}
        Some(Popup::Chooser(chooser)) => {
            let area = match chooser.purpose {
                For::Palette | For::Files { .. } | For::History => layout::popup(screen, true),
                For::Themes(_) | For::Models | For::Methods => layout::short(screen, chooser.rows().len()),
            };
            self::chooser(chooser, theme, frame, area);
        }
        Some(Popup::Prompt(prompt)) => {
            let title = match prompt.asked {
                Asked::Save => "Save the answer as (.md with front matter, else plain text)",
                Asked::Search => "Search",
                Asked::Language => "Translate into (a code or an English name)",
                Asked::Overwrite => "There is such a file: enter writes over it, esc leaves it",
            };
            line(&prompt.line, title, theme, frame, layout::popup(screen, false));
        }
        Some(Popup::Options(row)) => options(app, *row, theme, frame, layout::popup(screen, true)),
        Some(Popup::Text(title, page)) => {
            let area = layout::popup(screen, true);
            let inner = over(theme, title, frame, area);
            texts::page(page, &Vec::new(), theme, frame, inner);
        }
        Some(Popup::Editor(_, text)) => {
            let area = layout::popup(screen, true);
            let inner = over(theme, "Edit · esc takes it over", frame, area);
            area_in(text, theme, frame, inner);
        }
    }
}

/// Clears a place and frames it.
fn over(theme: &Theme, title: &str, frame: &mut Frame<'_>, area: Rect) -> Rect {
    frame.render_widget(Clear, area);
    frame_in(framed(theme, vec![title.to_owned().into()], true), frame, area)
}

/// A text area in the theme's styles.
fn area_in(text: &TextArea<'static>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut text = text.clone();
    text.set_style(theme[Role::Text]);
    text.set_cursor_line_style(theme[Role::Text]);
    text.set_cursor_style(theme[Role::Selected].add_modifier(ratatui::style::Modifier::REVERSED));
    text.set_selection_style(theme[Role::Selected]);
    frame.render_widget(&text, area);
}

fn line(text: &TextArea<'static>, title: &str, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inner = over(theme, title, frame, area);
    area_in(text, theme, frame, inner);
}

fn chooser(chooser: &Chooser, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (title, keys) = match &chooser.purpose {
        For::Palette => ("All that can be done".to_owned(), "enter does it"),
        For::Files { folder, .. } => (
            crate::sanitize::sanitize(&folder.display().to_string()),
            "enter opens · tab marks · ← folder above · ctrl-t hidden files",
        ),
        For::Themes(_) => ("Themes".to_owned(), "enter keeps it · esc goes back"),
        For::Models => ("Models".to_owned(), "enter takes it"),
        For::History => ("Earlier runs".to_owned(), "enter brings it back · del deletes it"),
        For::Methods => ("Compare on this document".to_owned(), "tab marks two to four · enter runs them"),
    };
    let inner = over(theme, &title, frame, area);
    let typed = Line::from(vec![
        Span::styled("> ", theme[Role::Key]),
        Span::raw(chooser.filter.clone()),
        Span::styled(" ", theme[Role::Match]),
    ]);
    frame.render_widget(Paragraph::new(typed), Rect { height: inner.height.min(1), ..inner });
    let (half, beside) = layout::halves(area);
    let list = if chooser.preview.is_some() { half } else { Rect { width: inner.width, ..half } };
    rows(chooser, theme, frame, list);
    if let Some(preview) = &chooser.preview {
        texts::page(preview, &Vec::new(), theme, frame, beside);
    }
    let foot = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    frame.render_widget(Paragraph::new(Line::styled(keys, theme[Role::Muted])), foot);
}

fn rows(chooser: &Chooser, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let all = chooser.rows();
    if all.len() == 0 {
        let note = chooser.note.clone().unwrap_or_else(|| "nothing fits".to_owned());
        frame.render_widget(Paragraph::new(note).wrap(Wrap { trim: true }).style(theme[Role::Muted]), area);
        return;
    }
    let window = window(chooser.cursor(), all.len(), usize::from(area.height));
    let lines = all.enumerate().skip(window.start).take(window.len()).map(|(index, (item, marked))| {
        let mark = if marked { "● " } else { "" };
        let room = usize::from(area.width).saturating_sub(width(mark) + width(&item.label) + 1);
        // What stands behind a name is left out where it does not fit.
        let note = if width(&item.note) <= room { item.note.as_str() } else { "" };
        let gap = " ".repeat(room.saturating_sub(width(note)) + 1);
        let line = Line::from(vec![
            Span::styled(mark, theme[Role::Good]),
            Span::raw(item.label.clone()),
            Span::raw(gap),
            Span::styled(note.to_owned(), theme[Role::Muted]),
        ]);
        if index == chooser.cursor() { line.style(theme[Role::Selected]) } else { line }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn options(app: &App, row: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let rows = option_rows(app.choice(), app.config());
    let height = u16::try_from(rows.len()).unwrap_or(0) + 4;
    let area = Rect {
        height: height.min(area.height),
        width: area.width.min(72),
        x: area.x + area.width.saturating_sub(72) / 2,
        ..area
    };
    let inner = over(theme, "Options", frame, area);
    let mut lines = Vec::new();
    for (index, (name, value, share)) in rows.into_iter().enumerate() {
        let slider = share.map_or_else(String::new, |share| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of twelve")]
            let filled = (share.clamp(0.0, 1.0) * 12.0).round() as usize;
            format!("{}{}", "━".repeat(filled), "─".repeat(12 - filled))
        });
        let line = Line::from(vec![
            Span::raw(format!("{name:<26}")),
            Span::styled(format!("{slider:<14}"), theme[Role::Busy]),
            Span::styled(value, theme[Role::Title]),
        ]);
        lines.push(if index == row { line.style(theme[Role::Selected]) } else { line });
    }
    lines.push(Line::raw(""));
    lines.push(Line::styled("↑ ↓ choose · ← → change · r resets · esc leaves", theme[Role::Muted]));
    frame.render_widget(Paragraph::new(lines), inner);
}
