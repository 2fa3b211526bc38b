//! The engine in a process of its own, so that a crash in native code costs the interface nothing.
//!
//! [`serve`] is that process: commands come in on standard input, events go out on standard output, both as frames
//! ([`frame`]). [`Worker`] is the other end: it starts the process and stops it when it is dropped.

pub mod frame;
mod handle;
mod message;
mod serve;

pub use handle::{Died, Heard, Worker};
pub use message::{Command, Event, JobId, Kind, Problem, Progress};
pub use serve::{Server, serve};
