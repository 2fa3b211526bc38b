//! Where things are on the screen, for drawing and for the mouse alike.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::app::Pane;
use crate::tui::page::wrap;

/// The least size that everything fits into.
pub(crate) const LEAST: (u16, u16) = (60, 20);

/// With several answers, a screen narrower than this shows either them or the lists.
const WIDE: u16 = 120;

/// The most rows of a message.
const MESSAGE: usize = 3;

/// The panes. What is not shown is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) title: Rect,
    pub(crate) documents: Rect,
    pub(crate) tasks: Rect,
    pub(crate) plan: Rect,
    pub(crate) document: Rect,
    pub(crate) answers: Vec<Rect>,
    pub(crate) status: Rect,
    pub(crate) hints: Rect,
}

/// The panes of a screen with so many answers, and so many tasks and documents in the lists; a long message takes a few rows.
pub(crate) fn areas(screen: Rect, focus: Pane, answers: usize, lists: (usize, usize), message: &str) -> Areas {
    let (tasks, documents) = lists;
    if screen.width < LEAST.0 || screen.height < LEAST.1 {
        return Areas::default();
    }
    let said = wrap(message, usize::from(screen.width - 2)).len().min(MESSAGE);
    let [title, body, status, hints] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(u16::try_from(said).unwrap_or(1)),
        Constraint::Length(1),
    ])
    .areas(screen);
    let lists = answers < 2 || screen.width >= WIDE || matches!(focus, Pane::Documents | Pane::Tasks);
    let left = match lists {
        true => (screen.width / 4).clamp(24, 36),
        false => 0,
    };
    let [left, right] = Layout::horizontal([Constraint::Length(left), Constraint::Min(0)]).areas(body);
    let (documents, tasks, plan) = if lists { stack(left, documents, tasks) } else { Default::default() };
    // A document that nobody reads leaves its rows to the answers.
    let share = match (answers, focus) {
        (0..2, Pane::Document) => 60,
        (0, _) => 55,
        (_, Pane::Document) => 50,
        (1, _) => 35,
        _ => 0,
    };
    let [document, below] = Layout::vertical([Constraint::Percentage(share), Constraint::Min(0)]).areas(right);
    let answers = Layout::horizontal(vec![Constraint::Fill(1); answers.max(1)]).split(below).to_vec();
    Areas { title, documents, tasks, plan, document, answers, status, hints }
}

/// The lists, one above the other: all tasks, few documents, and what is left for the plan.
fn stack(left: Rect, documents: usize, tasks: usize) -> (Rect, Rect, Rect) {
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2);
    let roomy = left.height.saturating_sub(rows(tasks) + 5);
    let [documents, tasks, plan] = Layout::vertical([
        Constraint::Length(rows(documents.max(1)).min(roomy.max(3))),
        Constraint::Length(rows(tasks).min(left.height.saturating_sub(3))),
        Constraint::Min(0),
    ])
    .areas(left);
    (documents, tasks, plan)
}

/// What is within a frame.
pub(crate) fn inside(frame: Rect) -> Rect {
    let (width, height) = (frame.width.saturating_sub(2), frame.height.saturating_sub(2));
    Rect { x: frame.x + frame.width.min(1), y: frame.y + frame.height.min(1), width, height }
}

/// What lies over the panes, in the middle: as much as fits for what is `large`, else a band.
pub(crate) fn popup(screen: Rect, large: bool) -> Rect {
    let width = if large { screen.width.saturating_sub(6).min(110) } else { screen.width.saturating_sub(8).min(72) };
    let height = if large { screen.height.saturating_sub(4).min(34) } else { 3 };
    let x = screen.x + (screen.width.saturating_sub(width)) / 2;
    let y = screen.y + (screen.height.saturating_sub(height)) / 2;
    Rect { x, y, width, height }
}

/// A popup for a short list of so many rows.
pub(crate) fn short(screen: Rect, rows: usize) -> Rect {
    let large = popup(screen, true);
    let height = u16::try_from(rows + 5).unwrap_or(u16::MAX).min(large.height);
    let width = large.width.min(60);
    let (x, y) = (screen.x + (screen.width - width) / 2, screen.y + (screen.height - height) / 2);
    Rect { x, y, width, height }
}

/// A popup's inside with a list and what is shown beside it: the line that is typed stands above both.
pub(crate) fn halves(popup: Rect) -> (Rect, Rect) {
    let inner = inside(popup);
    let below = Rect { y: inner.y + inner.height.min(2), height: inner.height.saturating_sub(3), ..inner };
    let [list, preview] = Layout::horizontal([Constraint::Percentage(45), Constraint::Min(0)]).spacing(1).areas(below);
    (list, preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_room_from_the_least_size_on() {
        for (width, height) in [LEAST, (80, 24), (120, 40), (200, 60)] {
            for answers in 0..=4 {
                for focus in [Pane::Documents, Pane::Tasks, Pane::Document, Pane::Answer] {
                    let areas = areas(Rect::new(0, 0, width, height), focus, answers, (9, 1), "");
                    assert!(areas.answers.iter().all(|area| area.width >= 9 && area.height >= 7), "{areas:?}");
                    if matches!(focus, Pane::Documents | Pane::Tasks) || answers < 2 {
                        assert!(areas.tasks.height >= 11 && areas.documents.height >= 3, "{areas:?}");
                    }
                    if focus == Pane::Document {
                        assert!(areas.document.height >= 8, "{areas:?}");
                    }
                }
            }
        }
        assert_eq!(areas(Rect::new(0, 0, 59, 30), Pane::Tasks, 1, (9, 1), ""), Areas::default());
    }
}
