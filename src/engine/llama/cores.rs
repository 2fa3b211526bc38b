//! How many of the machine's cores there were for this process, from Linux's `/proc/stat` (proc_stat(5)); other systems tell
//! nothing here.

use std::fs;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// The shortest time between two looks that means something: the system counts in ticks of ten milliseconds.
pub(super) const SHORTEST: Duration = Duration::from_millis(60);

/// The machine at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    at: Instant,
    /// CPU time of this process.
    own: Duration,
    /// Ticks of all cores since the machine started: those without work, and all.
    idle: u64,
    total: u64,
    cores: usize,
}

impl Look {
    /// At the machine as it is now; `None` where the system does not tell.
    pub(super) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?, Instant::now(), ProcessTime::now().as_duration())
    }

    fn parse(stat: &str, at: Instant, own: Duration) -> Option<Self> {
        let mut lines = stat.lines().take_while(|line| line.starts_with("cpu"));
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests take is counted in the first two.
        let ticks: Vec<u64> = lines.next()?.split_whitespace().skip(1).take(8).map_while(|n| n.parse().ok()).collect();
        Some(Self { at, own, idle: ticks.get(3)? + ticks.get(4)?, total: ticks.iter().sum(), cores: lines.count() })
    }

    /// When it was taken.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Cores that idled or were this process's since an earlier look; `None` where it was too short a time to tell.
    #[expect(clippy::cast_precision_loss, reason = "a share of ticks")]
    pub(super) fn cores_since(&self, before: &Self) -> Option<f64> {
        let wall = self.at.duration_since(before.at);
        let (idle, total) = (self.idle.saturating_sub(before.idle), self.total.saturating_sub(before.total));
        if wall < SHORTEST || total == 0 {
            return None;
        }
        let own = self.own.saturating_sub(before.own).as_secs_f64() / wall.as_secs_f64();
        Some(own + self.cores as f64 * idle as f64 / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(idle: u64, busy: u64, own: u64, at: Instant) -> Look {
        let stat =
            format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0 0 0\nintr 5\n");
        Look::parse(&stat, at, Duration::from_millis(own)).unwrap()
    }

    #[test]
    fn cores_are_those_that_idle_and_the_process_own() {
        let now = Instant::now();
        let (before, later) = (look(100, 100, 0, now), now + Duration::from_millis(100));
        // Of two cores this process has one and the other idles; then others have both, but for half of one.
        let alone = look(110, 110, 100, later).cores_since(&before).unwrap();
        let beside = look(100, 120, 50, later).cores_since(&before).unwrap();
        assert!((alone - 2.0).abs() < 1e-9 && (beside - 0.5).abs() < 1e-9, "{alone} {beside}");
        assert_eq!(look(101, 101, 10, now + Duration::from_millis(10)).cores_since(&before), None);
    }

    #[test]
    fn what_is_no_table_of_cores_tells_nothing() {
        for stat in ["", "cpu", "cpu  1 2 3", "intr 5\n"] {
            assert!(Look::parse(stat, Instant::now(), Duration::ZERO).is_none(), "{stat}");
        }
    }
}
