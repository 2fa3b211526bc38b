//! The terminal interface.
//!
//! [`App::update`] takes events in and gives effects out; [`view`] draws what the state looks like; both are pure. This loop
//! is what is between them and the world: it waits for keys, for the engine, for effects that come back and for signals,
//! and draws when the pacer says so. Nothing moves by itself, so an idle interface takes no time.
//!
//! The engine runs in a process of its own ([`crate::worker`]): when it dies, documents and what came of an answer are here.

mod action;
mod app;
mod clipboard;
mod environment;
mod keymap;
mod markdown;
mod pacer;
mod page;
mod perform;
pub mod screen;
pub mod theme;
mod view;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::EventStream;
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::config::Config;
use crate::paths::Paths;
use crate::worker::{self, Heard, Worker};

use pacer::{Cause, Pacer};
use perform::{Outside, Performer};
use screen::Screen;
use theme::Theme;

pub use app::{App, DocumentId, Effect, Event, Listed, Model, Pane};
pub use keymap::{Keymap, KeymapError};
pub use view::view;

/// Events that are taken in before the screen is drawn, at most.
const BURST: usize = 64;

/// What the interface begins with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// The folders.
    pub paths: Paths,
    /// A base model, where one was named.
    pub model: Option<String>,
    /// Files to open.
    pub files: Vec<PathBuf>,
    /// Whether a document comes on standard input.
    pub piped: bool,
    /// The engine's program and its arguments.
    pub engine: (PathBuf, Vec<OsString>),
}

/// Why there is no interface.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("there is no terminal to show anything on; `nfold run` works without one")]
    NoTerminal,
    #[error("in the configuration: {0}")]
    Keys(#[from] KeymapError),
    #[error("the terminal failed: {0}")]
    Terminal(#[from] io::Error),
}

/// Runs the interface until it is left; gives the signal that ended it, if one did.
pub fn run(start: Start) -> Result<Option<u8>, StartError> {
    let keymap = Keymap::new(&start.config.keys)?;
    if !screen::there_is_one() {
        return Err(StartError::NoTerminal);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async { Loop::begin(start, keymap)?.run().await });
    // What still reads a file or waits for a clipboard is not waited for.
    runtime.shutdown_background();
    Ok(result?)
}

/// Checks what the configuration says of the interface: keys and theme.
pub fn check(config: &Config, paths: &Paths) -> Result<(), String> {
    Keymap::new(&config.keys).map_err(|error| error.to_string())?;
    match config.interface.theme.as_str() {
        "auto" => Ok(()),
        name => Theme::load(name, &paths.themes()).map(drop).map_err(|error| error.to_string()),
    }
}

struct Loop {
    app: App,
    theme: Theme,
    screen: Screen,
    /// `None` while the terminal belongs to another program.
    input: Option<EventStream>,
    worker: Option<Worker>,
    engine: (PathBuf, Vec<OsString>),
    performer: Performer,
    outside: mpsc::UnboundedReceiver<Outside>,
    pacer: Pacer,
}

/// Signals that end the interface or stop it for a while.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(signal_hook::consts::SIGTSTP))?,
            go_on: signal(SignalKind::from_raw(signal_hook::consts::SIGCONT))?,
        })
    }
}

/// What to do after an effect.
enum After {
    GoOn,
    Leave,
}

impl Loop {
    fn begin(start: Start, keymap: Keymap) -> io::Result<Self> {
        let (tell, outside) = mpsc::unbounded_channel();
        let performer = Performer::new(start.config.clone(), start.paths.clone(), tell);
        let name = performer.usual_theme();
        let (theme, problem) = performer.theme(&name);
        let screen = Screen::enter(start.config.interface.mouse)?;
        let folder = std::env::current_dir().unwrap_or_default();
        let mut app = App::new(start.config, keymap, start.model.as_deref(), &name, &folder, screen.size()?);
        if let Some(problem) = problem {
            app.tell(Err(problem));
        }
        if !start.files.is_empty() {
            performer.open(start.files);
        }
        if start.piped {
            performer.read_standard_input();
        }
        let pacer = Pacer::default();
        Ok(Self { app, theme, screen, input: None, worker: None, engine: start.engine, performer, outside, pacer })
    }

    async fn run(mut self) -> io::Result<Option<u8>> {
        let mut signals = Signals::listen()?;
        self.draw()?;
        self.input = Some(listen());
        self.start_engine();
        let effects = self.app.start();
        self.perform(effects).await?;
        loop {
            if self.pacer.is_overdue(Instant::now()) {
                self.draw()?;
            }
            // Keys that are there already come before the frame that shows them.
            let events = tokio::select! {
                biased;
                _ = signals.terminate.recv() => return Ok(Some(15)),
                _ = signals.hang_up.recv() => return Ok(Some(1)),
                _ = signals.interrupt.recv() => return Ok(Some(2)),
                _ = signals.stop.recv() => { self.suspend()?; continue }
                _ = signals.go_on.recv() => { self.screen.take_again()?; self.pacer.ask(Cause::Now, Instant::now()); continue }
                key = next_key(&mut self.input) => match key {
                    Some(event) => vec![(Cause::Now, Event::Terminal(event?))],
                    None => return Ok(Some(1)), // The terminal is gone.
                },
                heard = next_heard(&mut self.worker) => self.burst(heard),
                Some(outside) = self.outside.recv() => self.came_back(outside)?.into_iter().map(|event| (Cause::Now, event)).collect(),
                () = until(self.pacer.due()) => { self.draw()?; continue }
            };
            for (cause, event) in events {
                let now = Instant::now();
                let effects = self.app.update(event, now);
                self.pacer.ask(cause, now);
                if matches!(self.perform(effects).await?, After::Leave) {
                    return Ok(None);
                }
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        self.screen.draw(|frame| view(&self.app, &self.theme, frame))?;
        self.pacer.drew(Instant::now());
        Ok(())
    }

    fn start_engine(&mut self) {
        let (program, arguments) = &self.engine;
        match Worker::start(program, arguments) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => self.app.tell(Err(format!("the engine cannot be started: {error}"))),
        }
    }

    /// What the engine tells, with what else it has told by now: all of it is taken in before the next frame.
    fn burst(&mut self, first: Heard) -> Vec<(Cause, Event)> {
        let worker = self.worker.as_mut();
        let more = worker.into_iter().flat_map(|worker| std::iter::from_fn(|| worker.try_next())).take(BURST);
        let heard: Vec<Heard> = std::iter::once(first).chain(more).collect();
        heard.into_iter().map(event).collect()
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.input = None;
        self.screen.leave()?;
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        self.screen.take_again()?;
        self.input = Some(listen());
        self.pacer.ask(Cause::Now, Instant::now());
        Ok(())
    }

    async fn perform(&mut self, effects: Vec<Effect>) -> io::Result<After> {
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(After::Leave),
                Effect::Send(command) => drop(self.worker.as_ref().map(|worker| worker.send(command))),
                Effect::SendDocument(text) => drop(self.worker.as_ref().map(|worker| worker.send_document(text))),
                Effect::Restart => self.start_engine(),
                Effect::Suspend => self.suspend()?,
                Effect::Redraw => self.screen.clear()?,
                Effect::Mouse(on) => self.screen.set_mouse(on)?,
                Effect::Theme(name) => {
                    let (theme, problem) = self.performer.theme(&name);
                    self.theme = theme;
                    if let Some(problem) = problem {
                        self.app.tell(Err(problem));
                    }
                }
                Effect::Edit(id, text) => self.edit(id, &text).await?,
                other => self.performer.perform(other),
            }
        }
        Ok(After::GoOn)
    }

    /// Gives the terminal to the editor until it is left.
    async fn edit(&mut self, id: DocumentId, text: &str) -> io::Result<()> {
        self.input = None;
        self.screen.leave()?;
        let event = match self.performer.edit(text).await {
            Ok(edited) => Event::Edited(id, edited),
            Err(message) => Event::Told(Err(message)),
        };
        self.screen.take_again()?;
        self.input = Some(listen());
        self.pacer.ask(Cause::Now, Instant::now());
        self.performer.tell(event);
        Ok(())
    }

    fn came_back(&mut self, outside: Outside) -> io::Result<Option<Event>> {
        match outside {
            Outside::Event(event) => Ok(Some(event)),
            Outside::CopyThroughTerminal(text) => {
                self.screen.copy(&text)?;
                Ok(Some(Event::Told(Ok("copied through the terminal (OSC 52)".to_owned()))))
            }
        }
    }
}

fn event(heard: Heard) -> (Cause, Event) {
    match heard {
        Heard::Event(event @ (worker::Event::Progress { .. } | worker::Event::Loading(_))) => {
            (Cause::Stream, Event::Engine(event))
        }
        Heard::Event(event) => (Cause::Now, Event::Engine(event)),
        Heard::Died(died) => (Cause::Now, Event::Died(died)),
    }
}

/// Keys from now on. The stream that was dropped before has left a wake-up behind: it is taken here, because crossterm
/// forgets the key that comes in one batch with it.
fn listen() -> EventStream {
    drop(crossterm::event::poll(Duration::ZERO));
    EventStream::new()
}

async fn next_key(input: &mut Option<EventStream>) -> Option<io::Result<crossterm::event::Event>> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}

async fn next_heard(worker: &mut Option<Worker>) -> Heard {
    match worker {
        Some(worker) => worker.next().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => {} // tokio would sleep to the next millisecond.
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
