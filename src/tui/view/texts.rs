//! The document and the answers.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::engine::Stop;
use crate::tui::action::Action;
use crate::tui::app::{Answer, App, Pane, Phase};
use crate::tui::markdown;
use crate::tui::page::{Page, graphemes, width};
use crate::tui::theme::{Role, Theme};

use super::{count, frame_in, framed};

/// Parts of a text with a role of their own; later ones lie over earlier ones.
pub(super) type Marks = Vec<(Range<usize>, Role)>;

/// Draws the window on a text.
pub(super) fn page(page: &Page, marks: &Marks, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let buffer = frame.buffer_mut();
    for (y, row) in (area.y..area.bottom()).zip(page.visible()) {
        let mut x = area.x;
        let mut styles = Styles { marks, theme };
        for (at, grapheme) in graphemes(&page.text()[row.clone()]) {
            let columns = u16::try_from(width(grapheme)).unwrap_or(0);
            if x + columns > area.right() {
                break; // Blanks behind the last word.
            }
            if columns > 0 {
                buffer.set_string(x, y, grapheme, styles.at(row.start + at));
            }
            x += columns;
        }
    }
}

struct Styles<'a> {
    marks: &'a Marks,
    theme: &'a Theme,
}

impl Styles<'_> {
    fn at(&mut self, byte: usize) -> Style {
        let over = self.marks.iter().filter(|(range, _)| range.contains(&byte));
        over.fold(self.theme[Role::Text], |style, (_, role)| style.patch(self.theme[*role]))
    }
}

/// Only the marks that touch the window.
fn near(marks: Marks, page: &Page) -> Marks {
    if marks.is_empty() {
        return marks;
    }
    let rows = page.visible();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
    marks.into_iter().filter(|(range, _)| range.start < last.end.max(1) && range.end > first.start).collect()
}

fn matches(page: &Page) -> impl Iterator<Item = (Range<usize>, Role)> {
    page.matches().into_iter().map(|range| (range, Role::Match))
}

/// How far the window is, for the frame's lower right corner.
fn percent(page: &Page, theme: &Theme) -> Line<'static> {
    let text = page.percent().map_or_else(String::new, |percent| format!(" {percent} % "));
    Line::styled(text, theme[Role::Muted]).right_aligned()
}

pub(super) fn document(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let focused = app.focus() == Pane::Document;
    let Some(document) = app.documents().current() else {
        let inner = frame_in(framed(theme, vec!["Document".into()], focused), frame, area);
        welcome(app, theme, frame, inner);
        return;
    };
    let mut about = vec![count(document.words, "word")];
    if let Some((tokens, limit)) = app.link().measured.tokens {
        about.push(format!("{} ({} % of context)", count(tokens, "token"), tokens * 100 / limit.max(1)));
    }
    let over = app.link().measured.tokens.is_some_and(|(tokens, limit)| tokens >= limit);
    let about = format!(" · {}", about.join(" · "));
    let about = Span::styled(about, theme[if over { Role::Error } else { Role::Muted }]);
    let block = framed(theme, vec![document.name.clone().into(), about], focused);
    let inner = frame_in(block.title_bottom(percent(&document.page, theme)), frame, area);
    page(&document.page, &matches(&document.page).collect(), theme, frame, inner);
}

fn welcome(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let key = |action| Span::styled(app.keymap().key(action), theme[Role::Key]);
    let lines = vec![
        Line::raw("Give nfold a text:"),
        Line::raw(""),
        Line::from(vec![key(Action::Open), Span::raw("  open files")]),
        Line::from(vec![key(Action::New), Span::raw("  write one")]),
        Line::raw("or paste one here."),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

pub(super) fn answers(app: &App, theme: &Theme, frame: &mut Frame<'_>, areas: &[Rect]) {
    let answers = app.answers();
    let focused = app.focus() == Pane::Answer;
    if answers.list().is_empty() {
        let area = areas.first().copied().unwrap_or_default();
        let inner = frame_in(framed(theme, vec!["Answer".into()], focused), frame, area);
        before(app, theme, frame, inner);
    }
    for (index, (answer, area)) in answers.list().iter().zip(areas).enumerate() {
        let title = match &answer.summary {
            _ if answers.list().len() > 1 => answer.ask.method.to_string(),
            Some(summary) => format!("{} · {}", summary.combination, summary.strategy),
            None => answer.ask.tasks.join("+"),
        };
        let room = usize::from(area.width).saturating_sub(width(&title) + 5);
        let (text, role) = footer(answer);
        let foot = Line::styled(format!(" {text} "), theme[role]);
        let block = framed(theme, vec![title.into()], focused && index == answers.index());
        let block = block.title(score(answer, room, theme)).title_bottom(foot);
        let inner = frame_in(block.title_bottom(percent(&answer.page, theme)), frame, *area);
        one(app, answer, theme, frame, inner);
    }
}

/// What is said where there is no answer yet.
fn before(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let key = app.keymap().key(Action::Run);
    let lines = match app.link().pull {
        Some(pull) => {
            let total = pull.total.map_or_else(String::new, |total| format!(" of {}", crate::tui::app::bytes(total)));
            let share = pull.total.map_or(0, |total| pull.done * 100 / total.max(1));
            vec![
                Line::styled(format!("downloading {}", app.choice().model), theme[Role::Busy]),
                Line::raw(format!("{}{total}, {share} %", crate::tui::app::bytes(pull.done))),
                Line::styled(
                    format!("{} stops it; it goes on from there later", app.keymap().key(Action::Cancel)),
                    theme[Role::Muted],
                ),
            ]
        }
        None if app.link().lacks_model() => vec![
            Line::styled(format!("The model {} is not on this machine.", app.choice().model), theme[Role::Warn]),
            Line::raw(""),
            Line::from(vec![
                Span::styled(key, theme[Role::Key]),
                Span::raw("  downloads it, checked by its hash. Nothing else is ever fetched."),
            ]),
            Line::from(vec![
                Span::styled(app.keymap().key(Action::Models), theme[Role::Key]),
                Span::raw("  chooses another one. `nfold models add FILE` takes one in that you have."),
            ]),
        ],
        None if app.link().measured.problem.is_some() => {
            let problem = app.link().measured.problem.iter();
            problem.map(|problem| Line::styled(problem.message.clone(), theme[Role::Error])).collect()
        }
        None => vec![Line::from(vec![
            Span::styled(key, theme[Role::Key]),
            Span::styled("  runs the tasks", theme[Role::Muted]),
        ])],
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
}

fn one(app: &App, answer: &Answer, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if let Phase::Failed(problem) = &answer.phase
        && answer.page.is_empty()
    {
        let text = Line::styled(problem.message.clone(), theme[Role::Error]);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let mut marks = near(markdown::marks(answer.page.text()), &answer.page);
    if app.answers().show_differences {
        marks.extend(answer.changed.iter().map(|range| (range.clone(), Role::Changed)));
    }
    marks.extend(matches(&answer.page));
    page(&answer.page, &near(marks, &answer.page), theme, frame, area);
}

/// Under an answer: how far it is, or what it took.
fn footer(answer: &Answer) -> (String, Role) {
    let (text, role) = match &answer.phase {
        Phase::Queued => ("waits".to_owned(), Role::Muted),
        Phase::Starting => ("starting".to_owned(), Role::Busy),
        Phase::Loading(share) => (format!("loading the model, {:.0} %", share * 100.0), Role::Busy),
        Phase::Composing => ("composing adapters".to_owned(), Role::Busy),
        Phase::Prefill(done, total) => (format!("reading, {} %", done * 100 / (*total).max(1)), Role::Busy),
        Phase::Decoding => (format!("{} · {:.0} tok/s", count(answer.tokens, "token"), answer.speed), Role::Busy),
        Phase::Stopped => (format!("stopped · {}", count(answer.tokens, "token")), Role::Warn),
        Phase::Failed(_) => ("failed".to_owned(), Role::Error),
        Phase::Done(stop) => {
            (figures(answer, *stop), if *stop == Stop::EndOfGeneration { Role::Good } else { Role::Warn })
        }
    };
    let pass = answer.pass.as_ref().filter(|(_, of, _)| *of > 1 && !answer.phase.is_over());
    let pass = pass.map_or_else(String::new, |(index, of, task)| format!("pass {} of {of}, {task}: ", index + 1));
    (format!("{pass}{text}"), role)
}

/// The likeness to the reference, for the frame's upper right corner: as much of it as there is room beside the title.
fn score(answer: &Answer, room: usize, theme: &Theme) -> Line<'static> {
    let texts = answer.score.map(|score| {
        let (rouge, chrf) = (score.rouge * 100.0, score.chrf);
        let long = format!(" ROUGE-L {rouge:.1} chrF++ {chrf:.1} ");
        [long, format!(" R-L {rouge:.1} chrF {chrf:.1} "), format!(" R-L {rouge:.1} ")]
    });
    let text = texts.into_iter().flatten().find(|text| width(text) <= room);
    Line::styled(text.unwrap_or_default(), theme[Role::Good]).right_aligned()
}

fn figures(answer: &Answer, stop: Stop) -> String {
    let cut = if matches!(stop, Stop::MaxTokens | Stop::ContextFull) { "cut off · " } else { "" };
    let Some(figures) = &answer.figures else { return format!("{cut}done") };
    let passes = super::passes(figures.passes);
    let seconds = (figures.prefill + figures.decode).as_secs_f64();
    format!("{cut}{passes} · {seconds:.1} s · {:.0} tok/s · {}", figures.decode_speed(), count(figures.output, "token"))
}
