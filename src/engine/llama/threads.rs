//! How many threads to decode with, from what is measured.
//!
//! llama.cpp's threads meet at a barrier many hundred times a token and spin while they wait. Where another process takes
//! one of their cores, all wait for the thread that is off it, and decoding becomes 4 to 15 times slower; with one thread
//! fewer it would not. Spinning threads use all the CPU they can get, so the CPU time that the process got, per second and
//! thread, tells whether there was a core for each. Before the first computation, and before more threads are tried, the
//! machine's own count of idle cores tells, where there is one: a crowded try takes seconds.

use std::thread;
use std::time::{Duration, Instant};

use super::cores::{self, Look};

/// Below this share of a core for each thread, threads are in each other's way. Measured on two cores: 0.95 to 1.00 when
/// idle, 0.61 to 0.70 beside one busy process.
const CROWDED: f64 = 0.85;

/// The shortest measurement that means something: schedulers hand out slices of a few milliseconds.
const WINDOW: Duration = Duration::from_millis(60);

/// After this time with fewer threads, more are tried again; each try doubles it, up to the longest.
const PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(16);

/// What was measured longer ago than this says nothing of the machine as it is.
const STALE: Duration = Duration::from_secs(10);

/// The number of threads to start with: one for each physical core.
pub(super) fn default_count() -> usize {
    num_cpus::get_physical().min(num_cpus::get()).max(1)
}

/// Chooses the number of threads from one window of measurement to the next, and from one pass to the next.
#[derive(Debug)]
pub(super) struct Threads {
    /// How many there may be.
    most: usize,
    /// Whether it is always as many.
    fixed: bool,
    /// How many there are.
    count: usize,
    /// Computing time since there are fewer than there may be.
    waited: Duration,
    patience: Duration,
    /// The window under way: CPU and wall time while the model computed.
    cpu: Duration,
    wall: Duration,
    /// When a computation ended last.
    last: Option<Instant>,
    /// How the machine is looked at, and the look that the next one is compared with.
    look: fn() -> Option<Look>,
    looked: Option<Look>,
}

impl Threads {
    /// At most so many, or always so many.
    pub(super) fn new(most: usize, fixed: bool, look: fn() -> Option<Look>) -> Self {
        let zero = Duration::ZERO;
        let looked = if fixed { None } else { look() };
        Self {
            most,
            fixed,
            count: most,
            waited: zero,
            patience: PATIENCE,
            cpu: zero,
            wall: zero,
            last: None,
            look,
            looked,
        }
    }

    /// A pass begins: if nothing was measured lately, with as many threads as there are cores for, or all of them where the
    /// machine does not tell. It is looked at for a moment, unless it was a moment ago, as when a model was loaded since.
    #[expect(clippy::disallowed_methods, reason = "what is waited for is time, over which the cores are counted")]
    pub(super) fn begin(&mut self) {
        if self.fixed || self.last.is_some_and(|last| last.elapsed() <= STALE) {
            return;
        }
        let looked = self.looked.filter(|look| look.at().elapsed() <= STALE);
        *self = Self::new(self.most, false, self.look);
        self.looked = looked.or(self.looked);
        if let Some(look) = self.looked {
            thread::sleep(cores::SHORTEST.saturating_sub(look.at().elapsed()));
        }
        if let Some(cores) = self.cores() {
            self.count = fitting(self.most, cores);
        }
    }

    /// Cores that there were for this process since the last look.
    fn cores(&mut self) -> Option<f64> {
        let now = (self.look)();
        let cores = now?.cores_since(&self.looked?);
        tracing::debug!(?cores, "look");
        self.looked = now;
        cores
    }

    /// How many threads to compute with.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes in one computation that ended now: the CPU time the process got in `wall` time.
    pub(super) fn measure(&mut self, cpu: Duration, wall: Duration) {
        if self.fixed {
            return;
        }
        self.last = Some(Instant::now());
        self.cpu += cpu;
        self.wall += wall;
        if self.wall < WINDOW {
            return;
        }
        let enough = fitting(self.count, self.cpu.as_secs_f64() / self.wall.as_secs_f64());
        tracing::debug!(threads = self.count, cpu = ?self.cpu, wall = ?self.wall, enough, "window");
        self.waited += self.wall;
        (self.cpu, self.wall) = (Duration::ZERO, Duration::ZERO);
        if enough < self.count {
            self.count = enough;
            self.waited = Duration::ZERO;
            self.looked = (self.look)();
        } else if self.count < self.most && self.waited >= self.patience {
            self.waited = Duration::ZERO;
            let next = self.cores().map_or(self.most, |cores| fitting(self.most, cores));
            if next > self.count {
                self.count = next;
                self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            }
        }
    }
}

/// The number of threads, at most `threads`, for which there were `cores`.
#[expect(clippy::cast_precision_loss, reason = "thread counts are small")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of them")]
fn fitting(threads: usize, cores: f64) -> usize {
    if threads <= 1 || cores >= CROWDED * threads as f64 {
        return threads;
    }
    (cores as usize).clamp(1, threads - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> Threads {
        Threads::new(2, false, || None)
    }

    #[test]
    fn an_idle_machine_keeps_its_threads() {
        assert_eq!(fitting(2, 1.98), 2);
        assert_eq!(fitting(1, 0.4), 1);
    }

    #[test]
    fn a_busy_core_costs_a_thread() {
        assert_eq!(fitting(2, 1.4), 1);
        assert_eq!(fitting(16, 12.8), 12);
        assert_eq!(fitting(4, 0.1), 1);
    }

    #[test]
    fn all_threads_are_tried_again_less_and_less_often() {
        let mut threads = threads();
        let mut tries = Vec::new();
        for window in 0..160u32 {
            // A busy core all the time: two threads get 70 % of what they ask for, one gets all.
            let share = if threads.count() == 2 { 140 } else { 100 };
            if threads.count() == 2 {
                tries.push(window);
            }
            threads.measure(Duration::from_millis(share), Duration::from_millis(100));
        }
        assert_eq!(tries, [0, 11, 32, 73, 154]);
        // The core is free again: the next try stays.
        for _ in 0..400 {
            let all = 100 * u64::try_from(threads.count()).unwrap();
            threads.measure(Duration::from_millis(all), Duration::from_millis(100));
        }
        assert_eq!(threads.count(), 2);
    }

    #[test]
    fn the_next_pass_knows_what_the_last_one_measured() {
        let mut threads = threads();
        threads.begin();
        assert_eq!(threads.count(), 2);
        threads.measure(Duration::from_millis(140), Duration::from_millis(100));
        threads.begin();
        assert_eq!(threads.count(), 1);
    }

    #[test]
    fn a_given_number_stays() {
        let mut threads = Threads::new(3, true, || None);
        threads.begin();
        threads.measure(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(threads.count(), 3);
    }
}
