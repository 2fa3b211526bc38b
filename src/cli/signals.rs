//! SIGINT and SIGTERM while an answer comes: the first ends the run, the second the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal came, if one did.
#[derive(Debug, Default)]
pub(super) struct Signals {
    received: Arc<AtomicUsize>,
    listening: bool,
}

impl Signals {
    /// Starts to listen, where it does not yet. Until then signals end the process at once.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        if self.listening {
            return Ok(());
        }
        self.listening = true;
        for (signal, number, code) in [(SIGINT, 2, 130), (SIGTERM, 15, 143)] {
            let again = Arc::new(AtomicBool::new(false));
            flag::register_conditional_shutdown(signal, code, again.clone())?;
            flag::register(signal, again)?;
            flag::register_usize(signal, self.received.clone(), number)?;
        }
        Ok(())
    }

    /// The number of the signal that came.
    pub(super) fn received(&self) -> Option<u8> {
        u8::try_from(self.received.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }
}
