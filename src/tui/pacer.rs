//! When to draw next: at once for who waits, and not too often while an answer comes.

use std::time::{Duration, Instant};

/// How long events that come without a pause may hold a frame up.
const PATIENCE: Duration = Duration::from_millis(16);

/// The least time between two frames that only an answer's text asks for: drawing takes its time from decoding.
const STREAM: Duration = Duration::from_millis(50);

/// What asks for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A key, a size, an end: somebody waits for it.
    Now,
    /// More of what comes anyway.
    Stream,
}

/// When to draw.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    drawn: Option<Instant>,
    due: Option<Instant>,
}

impl Pacer {
    /// Asks for a frame.
    pub(super) fn ask(&mut self, cause: Cause, now: Instant) {
        let at = match (cause, self.drawn) {
            (Cause::Stream, Some(drawn)) => now.max(drawn + STREAM),
            _ => now,
        };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When the next frame is to be drawn; `None` as long as nothing changes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the next frame is to be drawn before whatever else there is.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due + PATIENCE <= now)
    }

    /// A frame was drawn.
    pub(super) fn drew(&mut self, now: Instant) {
        self.drawn = Some(now);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_at_once_for_keys_paced_for_text_and_not_without_a_cause() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pacer = Pacer::default();
        assert_eq!(pacer.due(), None);
        pacer.ask(Cause::Stream, at(0));
        assert_eq!(pacer.due(), Some(at(0)));
        pacer.drew(at(0));
        assert_eq!(pacer.due(), None);
        pacer.ask(Cause::Stream, at(10));
        pacer.ask(Cause::Stream, at(20));
        assert_eq!(pacer.due(), Some(at(50)));
        pacer.ask(Cause::Now, at(21));
        assert_eq!(pacer.due(), Some(at(21)));
        pacer.drew(at(22));
        pacer.ask(Cause::Now, at(23));
        assert_eq!(pacer.due(), Some(at(23)));
        assert!(!pacer.is_overdue(at(38)));
        assert!(pacer.is_overdue(at(39)));
    }
}
