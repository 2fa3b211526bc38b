//! Drawing: what the state looks like, and nothing else.

pub(crate) mod layout;
mod lists;
mod over;
mod status;
mod texts;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::app::App;
use super::theme::{Role, Theme};

/// Draws the whole screen.
pub fn view(app: &App, theme: &Theme, frame: &mut Frame<'_>) {
    let screen = frame.area();
    frame.render_widget(Block::new().style(theme[Role::Text]), screen);
    if screen.width < layout::LEAST.0 || screen.height < layout::LEAST.1 {
        let (width, height) = layout::LEAST;
        let text =
            format!("nfold needs {width} × {height} characters; this window has {} × {}", screen.width, screen.height);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).style(theme[Role::Warn]), screen);
        return;
    }
    let areas = app.areas();
    status::title(app, theme, frame, areas.title);
    lists::documents(app, theme, frame, areas.documents);
    lists::tasks(app, theme, frame, areas.tasks);
    lists::plan(app, theme, frame, areas.plan);
    texts::document(app, theme, frame, areas.document);
    texts::answers(app, theme, frame, &areas.answers);
    status::status(app, theme, frame, areas.status);
    status::hints(app, theme, frame, areas.hints);
    over::popup(app, theme, frame, screen);
}

/// A frame with its title, brighter where it has the focus.
fn framed(theme: &Theme, title: Vec<Span<'static>>, focused: bool) -> Block<'static> {
    let border = if focused { Role::Focus } else { Role::Border };
    let name = if focused { Role::Title } else { Role::Muted };
    let mut spans = vec![Span::raw(" ")];
    spans.extend(title);
    spans.push(Span::raw(" "));
    let title = Line::from(spans).style(theme[name]);
    Block::bordered().border_style(theme[border]).title(title).style(theme[Role::Text])
}

/// Draws a frame and gives what is within.
fn frame_in(block: Block<'_>, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// `1 word`, `2 words`.
fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// `1 pass`, `2 passes`.
fn passes(number: usize) -> String {
    format!("{number} pass{}", if number == 1 { "" } else { "es" })
}
