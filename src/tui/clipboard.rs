//! Copying: to tmux where it is around, to the system's clipboard, through the terminal, to a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

use crate::file;

use super::app::Event;
use super::environment::Environment;
use super::perform::Outside;

/// The longest text that terminals take, in bytes: some cut the sequence at 100,000 characters, which are base64.
const LONGEST: usize = 74_000;

/// The clipboard's own thread: on X11 and Wayland who copied must stay to be asked for the text.
#[derive(Debug)]
pub(super) struct Clipboard {
    texts: Sender<String>,
}

impl Clipboard {
    pub(super) fn new(environment: Environment, file: PathBuf, tell: UnboundedSender<Outside>) -> Self {
        let (texts, received) = mpsc::channel::<String>();
        thread::spawn(move || {
            let mut system = None;
            while let Ok(text) = received.recv() {
                drop(tell.send(copy(text, &mut system, &environment, &file)));
            }
        });
        Self { texts }
    }

    pub(super) fn copy(&self, text: String) {
        drop(self.texts.send(text));
    }
}

fn copy(text: String, system: &mut Option<arboard::Clipboard>, environment: &Environment, file: &Path) -> Outside {
    let told = |message: &str| Outside::Event(Event::Told(Ok(message.to_owned())));
    if environment.tmux && to_tmux(&text) {
        return told("copied to tmux's buffer and the clipboard of its terminal");
    }
    if !environment.remote {
        *system = system.take().or_else(|| arboard::Clipboard::new().ok());
        if system.as_mut().is_some_and(|clipboard| clipboard.set_text(text.clone()).is_ok()) {
            return told("copied to the clipboard");
        }
    }
    if !environment.plain && text.len() <= LONGEST {
        return Outside::CopyThroughTerminal(text);
    }
    Outside::Event(Event::Told(match file::write_bytes(file, text.as_bytes()) {
        Ok(()) => Ok(format!("there is no clipboard; the text is in {}", file.display())),
        Err(error) => Err(format!("there is no clipboard, and `{}` cannot be written: {error}", file.display())),
    }))
}

/// tmux passes the text on to the terminal it runs in (`-w`).
fn to_tmux(text: &str) -> bool {
    let arguments = ["load-buffer", "-w", "-"];
    let child =
        Command::new("tmux").args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    let written = child.stdin.take().is_some_and(|mut input| input.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}
