//! The interface's end: starts the engine's process, sends it commands, hears its events and its death.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Program};
use tokio::sync::mpsc;

use super::frame;
use super::message::{Command, Event};

/// Events that wait to be heard before the engine waits.
const WAITING: usize = 256;

/// What comes from a worker.
#[derive(Debug)]
pub enum Heard {
    /// The engine tells something.
    Event(Event),
    /// The process is no more. Nothing comes after this.
    Died(Died),
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Died {
    /// `signal 9`, `exit code 1`.
    pub how: String,
    /// The last line it said on standard error, where it said anything.
    pub said: Option<String>,
}

/// An engine's process. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    commands: mpsc::UnboundedSender<Outgoing>,
    heard: mpsc::Receiver<Heard>,
}

/// A command; a document is copied and encoded by the task that sends it, not by the interface.
enum Outgoing {
    Command(Command),
    Document(Arc<str>),
}

impl Worker {
    /// Starts `program arguments…`.
    pub fn start(program: &Path, arguments: &[OsString]) -> io::Result<Self> {
        let mut program = Program::new(program);
        program.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: what the terminal sends to an editor's group is not meant for the engine.
        #[cfg(unix)]
        program.process_group(0);
        let mut child = program.spawn()?;
        let missing = || io::Error::other("the engine has no pipes");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let (commands, outgoing) = mpsc::unbounded_channel();
        let (tell, heard) = mpsc::channel(WAITING);
        tokio::spawn(send(input, outgoing));
        tokio::spawn(hear(child, output, tell));
        Ok(Self { commands, heard })
    }

    /// Sends a command. Where the process is dead, that is heard.
    pub fn send(&self, command: Command) {
        drop(self.commands.send(Outgoing::Command(command)));
    }

    /// Sends the document that the commands after it are about.
    pub fn send_document(&self, text: Arc<str>) {
        drop(self.commands.send(Outgoing::Document(text)));
    }

    /// The next event; never, after the process died.
    pub async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }
}

async fn send(mut input: ChildStdin, mut outgoing: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(outgoing) = outgoing.recv().await {
        let encoded = tokio::task::spawn_blocking(move || match outgoing {
            Outgoing::Command(command) => frame::encode(&command),
            Outgoing::Document(text) => frame::encode(&Command::Document(text.as_ref().to_owned())),
        });
        let Ok(Ok(bytes)) = encoded.await else { continue };
        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

/// Hands events on until the process ends, then tells how it did.
async fn hear(mut child: Child, output: ChildStdout, tell: mpsc::Sender<Heard>) {
    let errors = child.stderr.take();
    let last_words = tokio::spawn(async move {
        let mut last = None;
        if let Some(errors) = errors {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                last = Some(line).filter(|line| !line.trim().is_empty()).or(last);
            }
        }
        last
    });
    let mut output = BufReader::new(output);
    tokio::select! {
        _ = events(&mut output, &tell) => {}
        () = tell.closed() => {
            drop(child.start_kill());
        }
    }
    // A process that only closed its output is of no more use.
    drop(child.start_kill());
    let how = child.wait().await.map_or_else(|error| error.to_string(), describe);
    let said = last_words.await.ok().flatten();
    drop(tell.send(Heard::Died(Died { how, said })).await);
}

async fn events(output: &mut BufReader<ChildStdout>, tell: &mpsc::Sender<Heard>) -> io::Result<()> {
    loop {
        let mut head = [0; 4];
        output.read_exact(&mut head).await?;
        let mut bytes = vec![0; frame::length(head)?];
        output.read_exact(&mut bytes).await?;
        let event = frame::decode(&bytes)?;
        if tell.send(Heard::Event(event)).await.is_err() {
            return Ok(());
        }
    }
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => " (illegal instruction)",
            6 => " (aborted)",
            9 => " (killed, perhaps for memory)",
            11 => " (segmentation fault)",
            _ => "",
        };
        return format!("signal {signal}{name}");
    }
    status.code().map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"))
}
