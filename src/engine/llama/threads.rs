//! How many threads to decode with, from what is measured.
//!
//! llama.cpp's threads meet at a barrier many hundred times a token and spin while they wait. Where another process takes
//! one of their cores, all wait for the thread that is off it, and decoding becomes 4 to 15 times slower; with one thread
//! fewer it would not. Spinning threads use all the CPU they can get, so the CPU time that the process got, per second and
//! thread, tells whether there was a core for each.

use std::time::Duration;

/// Below this share of a core for each thread, threads are in each other's way. Measured on two cores: 0.95 to 1.00 when
/// idle, 0.61 to 0.70 beside one busy process.
const CROWDED: f64 = 0.85;

/// The shortest measurement that means something: schedulers hand out slices of a few milliseconds.
const WINDOW: Duration = Duration::from_millis(60);

/// After this time with fewer threads, all are tried again; each failed try doubles it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The number of threads to start with: one for each physical core.
pub(super) fn default_count() -> usize {
    num_cpus::get_physical().min(num_cpus::get()).max(1)
}

/// Chooses the number of threads from one window of measurement to the next.
#[derive(Debug)]
pub(super) struct Threads {
    /// How many there may be.
    most: usize,
    /// How many there are.
    count: usize,
    /// Computing time since there are fewer than there may be.
    waited: Duration,
    patience: Duration,
    /// The window under way: CPU and wall time while the model computed.
    cpu: Duration,
    wall: Duration,
}

impl Threads {
    pub(super) fn new(most: usize) -> Self {
        let zero = Duration::ZERO;
        Self { most, count: most, waited: zero, patience: PATIENCE, cpu: zero, wall: zero }
    }

    /// How many threads to compute with.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes in one computation: the CPU time the process got in `wall` time.
    pub(super) fn measure(&mut self, cpu: Duration, wall: Duration) {
        self.cpu += cpu;
        self.wall += wall;
        if self.wall < WINDOW {
            return;
        }
        let fitting = fitting(self.count, self.cpu, self.wall);
        tracing::debug!(threads = self.count, cpu = ?self.cpu, wall = ?self.wall, fitting, "window");
        self.waited += self.wall;
        (self.cpu, self.wall) = (Duration::ZERO, Duration::ZERO);
        if fitting < self.count {
            self.count = fitting;
            self.waited = Duration::ZERO;
        } else if self.count < self.most && self.waited >= self.patience {
            self.count = self.most;
            self.patience *= 2;
        }
    }
}

/// The number of threads for which there were cores, given the CPU time that `threads` got in `wall` time.
#[expect(clippy::cast_precision_loss, reason = "thread counts are small")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of them")]
fn fitting(threads: usize, cpu: Duration, wall: Duration) -> usize {
    if threads <= 1 || wall.is_zero() {
        return threads;
    }
    let share = cpu.as_secs_f64() / (wall.as_secs_f64() * threads as f64);
    if share >= CROWDED {
        return threads;
    }
    ((share * threads as f64) as usize).clamp(1, threads - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_idle_machine_keeps_its_threads() {
        assert_eq!(fitting(2, Duration::from_millis(1980), SECOND), 2);
        assert_eq!(fitting(1, Duration::from_millis(400), SECOND), 1);
    }

    #[test]
    fn a_busy_core_costs_a_thread() {
        assert_eq!(fitting(2, Duration::from_millis(1400), SECOND), 1);
        assert_eq!(fitting(16, Duration::from_millis(12_800), SECOND), 12);
        assert_eq!(fitting(4, Duration::from_millis(100), SECOND), 1);
    }

    #[test]
    fn all_threads_are_tried_again_less_and_less_often() {
        let mut threads = Threads::new(2);
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
}
