//! The interface's state, and how events change it. Nothing here does anything: what is to be done is given as effects.

mod act;
mod answers;
mod choice;
mod documents;
mod event;
mod export;
mod link;
mod options;
mod over;
mod popup;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crossterm::event::{
    Event as Terminal, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect};
use ratatui_textarea::{TextArea, WrapMode};

use crate::config::Config;
use crate::engine::Stop;
use crate::history::Entry;
use crate::sanitize::sanitize;
use crate::strategy::Method;
use crate::worker::{self, Command, Died};

use super::action::{Action, Scope};
use super::keymap::Keymap;
use super::page::Page;
use super::view::layout::{self, Areas};

pub use event::{Effect, Event, Listed, Model};

pub(crate) use answers::{Answer, Answers, Heard, Phase};
pub(crate) use choice::{Choice, Item as TaskItem};
pub use documents::DocumentId;
pub(crate) use documents::{Document, Documents, Source, window};
pub(crate) use link::Link;
pub(crate) use options::rows as option_rows;
pub(crate) use over::bytes;
pub(crate) use popup::{Asked, Chooser, Chosen, For, Item, Popup, Prompt, What};

/// Longer documents are edited in `$EDITOR`: the text area wraps all of its text for each frame.
const LONGEST_EDIT: usize = 256 << 10;

/// What keys are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The list of documents.
    Documents,
    /// The list of tasks.
    Tasks,
    /// The document's text.
    Document,
    /// The answers.
    Answer,
}

/// The whole state of the interface.
#[derive(Debug)]
pub struct App {
    config: Config,
    keymap: Keymap,
    size: Rect,
    focus: Pane,
    documents: Documents,
    choice: Choice,
    answers: Answers,
    link: Link,
    popup: Option<Popup>,
    /// What the last effect came to; until the next key.
    message: Option<Result<String, String>>,
    theme: String,
    mouse: bool,
    /// Where files were opened last.
    folder: PathBuf,
    /// The document that the answers came from.
    source: Source,
}

impl App {
    /// An interface of this size without documents.
    #[must_use]
    pub fn new(
        config: Config,
        keymap: Keymap,
        model: Option<&str>,
        theme: &str,
        folder: &Path,
        size: (u16, u16),
    ) -> Self {
        let mut app = Self {
            choice: Choice::new(&config, model),
            mouse: config.interface.mouse,
            config,
            keymap,
            size: Rect::new(0, 0, size.0, size.1),
            focus: Pane::Tasks,
            documents: Documents::default(),
            answers: Answers::default(),
            link: Link::default(),
            popup: None,
            message: None,
            theme: theme.to_owned(),
            folder: folder.to_path_buf(),
            source: Source::default(),
        };
        app.arrange();
        app
    }

    /// Says something in the status line.
    pub fn tell(&mut self, message: Result<String, String>) {
        self.message = Some(message);
    }

    /// What there is to do at the start.
    #[must_use]
    pub fn start(&mut self) -> Vec<Effect> {
        self.settle()
    }

    /// Takes an event in. `now` is when it came.
    #[must_use]
    pub fn update(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        let mut effects = match event {
            Event::Terminal(Terminal::Key(key)) if key.kind != KeyEventKind::Release => self.key(key, now),
            Event::Terminal(Terminal::Paste(text)) => self.paste(&text, now),
            Event::Terminal(Terminal::Mouse(mouse)) => self.mouse(mouse),
            Event::Terminal(Terminal::Resize(width, height)) => {
                self.size = Rect::new(0, 0, width, height);
                Vec::new()
            }
            Event::Terminal(_) => Vec::new(),
            Event::Engine(event) => self.engine(&event, now),
            Event::Died(died) => self.died(&died),
            other => self.came_back(other),
        };
        effects.extend(self.settle());
        effects
    }

    /// Sizes windows, and asks what a run would do where that changed.
    fn settle(&mut self) -> Vec<Effect> {
        self.arrange();
        if self.answers.is_running() {
            return Vec::new();
        }
        let ask = self.choice.ask(self.choice.method, &self.config);
        self.link.measure(self.documents.current(), ask)
    }

    fn arrange(&mut self) {
        let areas = self.areas();
        if let Some(document) = self.documents.current_mut() {
            let inner = layout::inside(areas.document);
            document.page.resize(inner.width, inner.height);
        }
        for (index, area) in areas.answers.iter().enumerate() {
            let inner = layout::inside(*area);
            self.answers.resize(index, inner.width, inner.height);
        }
        let popup = layout::popup(self.size, true);
        match &mut self.popup {
            Some(Popup::Text(_, page)) => {
                let inner = layout::inside(popup);
                page.resize(inner.width, inner.height);
            }
            Some(Popup::Chooser(Chooser { preview: Some(preview), .. })) => {
                let (_, area) = layout::halves(popup);
                preview.resize(area.width, area.height);
            }
            _ => {}
        }
    }

    fn engine(&mut self, event: &worker::Event, now: Instant) -> Vec<Effect> {
        if let Some(told) = self.link.hear(event) {
            self.message = Some(told);
        }
        match self.answers.hear(event, now) {
            Heard::Nothing | Heard::More => Vec::new(),
            Heard::Over(index) => {
                let mut effects = self.remember(index);
                self.rescore();
                effects.extend(self.run_next(now));
                effects
            }
        }
    }

    fn died(&mut self, died: &Died) -> Vec<Effect> {
        let (message, effect) = self.link.died(died);
        self.answers.lose(&message);
        self.message = Some(Err(message));
        effect.into_iter().collect()
    }

    fn remember(&mut self, index: usize) -> Vec<Effect> {
        let answer = &self.answers.list()[index];
        let kept =
            matches!(answer.phase, Phase::Done(stop) if stop != Stop::Cancelled) && self.config.interface.history;
        match export::entry(answer, &self.source) {
            Some(entry) if kept => vec![Effect::Remember(Box::new(entry))],
            _ => Vec::new(),
        }
    }

    fn rescore(&mut self) {
        self.answers.score(self.documents.reference().map(|document| document.page.text()));
    }

    /// Runs methods on the document, one after another.
    fn run(&mut self, methods: &[Method], now: Instant) -> Vec<Effect> {
        if let Some(effect) = self.link.revive() {
            self.message = Some(Ok("the engine was started again".to_owned()));
            return vec![effect];
        }
        if self.answers.is_running() {
            self.message = Some(Err(format!("a run is going on; {} ends it", self.keymap.key(Action::Cancel))));
            return Vec::new();
        }
        if self.link.pull.is_some() {
            return Vec::new();
        }
        if self.link.lacks_model() {
            return self.link.pull(&self.choice.model);
        }
        let Some(document) = self.documents.current().filter(|document| document.words > 0) else {
            let (open, new) = (self.keymap.key(Action::Open), self.keymap.key(Action::New));
            self.message =
                Some(Err(format!("there is no document to work on: {open} opens one, {new} writes one, or paste it")));
            return Vec::new();
        };
        if self.choice.tasks().is_empty() {
            self.message = Some(Err("no task is on: digits turn tasks on and off".to_owned()));
            return Vec::new();
        }
        let text = document.page.text().to_owned();
        self.source = Source { name: document.name.clone(), text, version: document.version };
        self.answers.begin(methods.iter().map(|method| self.choice.ask(*method, &self.config)).collect());
        self.focus = Pane::Answer;
        self.run_next(now)
    }

    fn run_next(&mut self, now: Instant) -> Vec<Effect> {
        let job = self.link.next_job();
        match self.answers.start_next(job, now) {
            Some(ask) => self.link.run(&self.source, job, ask),
            None => Vec::new(),
        }
    }

    fn cancel(&mut self) -> Vec<Effect> {
        let pull = self.link.cancel_pull();
        let run = self.answers.cancel().map(|job| Effect::Send(Command::Cancel(job)));
        pull.into_iter().chain(run).collect()
    }

    fn paste(&mut self, text: &str, now: Instant) -> Vec<Effect> {
        // Terminals send line ends as they like.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        match &mut self.popup {
            Some(Popup::Editor(_, area)) => drop(area.insert_str(text)),
            Some(Popup::Prompt(prompt)) => drop(prompt.line.insert_str(text.lines().next().unwrap_or_default())),
            Some(Popup::Chooser(chooser)) => {
                let chosen = chooser.paste(text.lines().next().unwrap_or_default());
                return self.chosen(chosen, now);
            }
            Some(Popup::Options(_) | Popup::Text(..)) => {}
            None if text.trim().is_empty() => {}
            None => {
                let name = self.documents.new_name("pasted");
                self.documents.open(&name, None, text);
            }
        }
        Vec::new()
    }

    fn key(&mut self, key: KeyEvent, now: Instant) -> Vec<Effect> {
        self.message = None;
        if self.popup.is_some() {
            return self.popup_key(key, now);
        }
        if let KeyCode::Char(digit @ '1'..='9') = key.code
            && key.modifiers.is_empty()
        {
            return self.toggle(digit as usize - '1' as usize);
        }
        let scope = if self.focus == Pane::Tasks { Scope::Tasks } else { Scope::Everywhere };
        match self.keymap.action(key, scope) {
            Some(action) => self.act(action, now),
            None => Vec::new(),
        }
    }

    fn toggle(&mut self, index: usize) -> Vec<Effect> {
        self.message = self.choice.toggle(index, &self.config).map(Err);
        Vec::new()
    }

    /// Edits a document in the text area.
    fn edit(&mut self, id: DocumentId) {
        let text = self.documents.get(id).map_or("", |document| document.page.text());
        if text.len() > LONGEST_EDIT {
            let key = self.keymap.key(Action::EditExternally);
            self.message = Some(Err(format!("the document is too long to be edited here; {key} edits it in $EDITOR")));
            return;
        }
        let mut area = TextArea::new(text.lines().map(sanitize).collect());
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        self.popup = Some(Popup::Editor(id, Box::new(area)));
    }

    /// The areas of the screen as it stands.
    pub(crate) fn areas(&self) -> Areas {
        let lists = (self.choice.items().len(), self.documents.list().len());
        let message = self.message.as_ref().map_or("", |message| message.as_ref().unwrap_or_else(|error| error));
        layout::areas(self.size, self.focus, self.answers.list().len(), lists, message)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn keymap(&self) -> &Keymap {
        &self.keymap
    }

    pub(crate) fn focus(&self) -> Pane {
        self.focus
    }

    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn popup(&self) -> Option<&Popup> {
        self.popup.as_ref()
    }

    /// The model's name, of one that was given by path the file's.
    pub(crate) fn model_name(&self) -> &str {
        let model = &self.choice.model;
        let stem = || Path::new(model).file_stem().and_then(|stem| stem.to_str()).unwrap_or(model);
        if model.contains(std::path::MAIN_SEPARATOR) { stem() } else { model }
    }

    pub(crate) fn message(&self) -> Option<&Result<String, String>> {
        self.message.as_ref()
    }
}
