//! SIGINT and SIGTERM while the engine works: the first asks the run to end, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal came, if one did.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Starts to listen. Before this, signals end the process at once, as they should while it waits for input.
    pub(super) fn listen() -> io::Result<Self> {
        let signals = Self::default();
        for (signal, number, code) in [(SIGINT, 2, 130), (SIGTERM, 15, 143)] {
            let again = Arc::new(AtomicBool::new(false));
            flag::register_conditional_shutdown(signal, code, again.clone())?;
            flag::register(signal, again)?;
            flag::register_usize(signal, signals.0.clone(), number)?;
        }
        Ok(signals)
    }

    /// The number of the signal that came.
    pub(super) fn received(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }
}
