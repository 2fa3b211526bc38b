//! How many threads to decode with, from what is measured.
//!
//! llama.cpp's threads meet at a barrier many hundred times a token and spin while they wait. Where another process takes
//! one of their cores, all wait for the thread that is off it, and decoding becomes 4 to 15 times slower; with one thread
//! fewer it would not. Spinning threads use all the CPU they can get, so the CPU time that the process got, per second and
//! thread, tells whether there was a core for each.

use std::time::Duration;

/// Below this share of a core for each thread, threads are in each other's way. An idle machine gives 0.98 and more.
const CROWDED: f64 = 0.93;

/// The shortest measurement that means something: schedulers hand out slices of a few milliseconds.
pub(super) const WINDOW: Duration = Duration::from_millis(60);

/// The number of threads to start with: one for each physical core.
pub(super) fn default_count() -> usize {
    num_cpus::get_physical().min(num_cpus::get()).max(1)
}

/// The number of threads for which there were cores, given the CPU time that `threads` got in `wall` time.
pub(super) fn fitting(threads: usize, cpu: Duration, wall: Duration) -> usize {
    if threads <= 1 || wall.is_zero() {
        return threads;
    }
    #[expect(clippy::cast_precision_loss, reason = "thread counts are small")]
    let share = cpu.as_secs_f64() / (wall.as_secs_f64() * threads as f64);
    if share >= CROWDED {
        return threads;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    let cores = (share * threads as f64) as usize;
    cores.clamp(1, threads - 1)
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
}
