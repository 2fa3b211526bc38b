//! The interface without a terminal: keys in, screens out. Effects for the engine are done by a script, others are kept.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossterm::event::{Event as Terminal, KeyCode, KeyEvent, KeyModifiers};
use nfold::config::Config;
use nfold::document::Text;
use nfold::tui::theme::{Kind, Role, Theme};
use nfold::tui::{App, Effect, Event, Keymap, view};
use nfold::worker::{self, Command};
use ratatui::Terminal as Screen;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Style};

use super::script::Script;

pub struct Ui {
    pub app: App,
    pub script: Script,
    size: (u16, u16),
    now: Instant,
    /// What was to be done outside, other than by the engine.
    pub effects: Vec<Effect>,
}

impl Ui {
    pub fn new(width: u16, height: u16, script: Script) -> Self {
        Self::with(&Config::example().unwrap(), (width, height), script)
    }

    pub fn with(config: &Config, size: (u16, u16), script: Script) -> Self {
        let keymap = Keymap::new(&config.keys).unwrap();
        let app = App::new(config.clone(), keymap, None, "nfold-dark", Path::new("/home/me"), size);
        let mut ui = Self { app, script, size, now: Instant::now(), effects: Vec::new() };
        let effects = ui.app.start();
        ui.perform(effects);
        ui
    }

    /// With a document of this text.
    pub fn on(text: &str) -> Self {
        Self::new(80, 24, Script::new("One two three.")).open("notes.txt", text)
    }

    pub fn open(mut self, name: &str, text: &str) -> Self {
        let read = Text { text: text.to_owned(), encoding: None };
        self.event(Event::Opened(PathBuf::from("/home/me").join(name), Ok(read)));
        self
    }

    pub fn sized(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self.event(Event::Terminal(Terminal::Resize(width, height)));
        self
    }

    /// Presses keys: `3<Enter>hi<C-c><Esc>`; `<` itself is `<lt>`.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for key in parse(keys) {
            self.event(Event::Terminal(Terminal::Key(key)));
        }
        self
    }

    pub fn paste(&mut self, text: &str) -> &mut Self {
        self.event(Event::Terminal(Terminal::Paste(text.to_owned())));
        self
    }

    pub fn event(&mut self, event: Event) -> &mut Self {
        self.now += Duration::from_millis(10);
        let effects = self.app.update(event, self.now);
        self.perform(effects);
        self
    }

    pub fn engine(&mut self, event: worker::Event) -> &mut Self {
        self.event(Event::Engine(event))
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let told = match effect {
                Effect::Send(command) => self.script.answer(command),
                Effect::SendDocument(text) => self.script.answer(Command::Document(text.as_ref().to_owned())),
                other => {
                    self.effects.push(other);
                    Vec::new()
                }
            };
            for event in told {
                self.engine(event);
            }
        }
    }

    /// Ends the run that goes on, as the script says.
    pub fn finish_run(&mut self) {
        let event = self.script.finish().expect("no run goes on");
        self.engine(event);
    }

    /// What was to be done outside since this was asked last.
    pub fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn draw(&self, theme: &Theme) -> Buffer {
        let mut screen = Screen::new(TestBackend::new(self.size.0, self.size.1)).unwrap();
        screen.draw(|frame| view(&self.app, theme, frame)).unwrap();
        screen.backend().buffer().clone()
    }

    /// What the screen says.
    pub fn text(&self) -> String {
        let buffer = self.draw(&proof());
        rows(&buffer).map(|row| said(row).trim_end().to_owned() + "\n").collect()
    }

    /// What the screen says, and below it which role each cell is drawn in.
    pub fn screen(&self) -> String {
        styled(&self.draw(&proof()))
    }

    /// The screen in real colours: one line for each run of cells of one style.
    pub fn colors(&self, theme: &Theme) -> String {
        let buffer = self.draw(theme);
        let mut text = String::new();
        for row in rows(&buffer) {
            for run in row.chunk_by(|one, other| one.style() == other.style()) {
                let style = run[0].style();
                let said = said(run);
                let color = |color: Option<Color>| color.map_or_else(|| "-".to_owned(), |color| color.to_string());
                if !said.trim().is_empty() {
                    let (fg, bg, how) = (color(style.fg), color(style.bg), format!("{:?}", style.add_modifier));
                    let _ = writeln!(text, "{fg:<8} {bg:<8} {how:<12} {}", said.trim());
                }
            }
        }
        text
    }
}

/// A theme in which every role has a colour of its own, so that a cell tells which role drew it.
pub fn proof() -> Theme {
    Theme::from_fn(Kind::Dark, |role| Style::new().fg(Color::Indexed(role as u8)))
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buffer.content.chunks(usize::from(buffer.area.width))
}

/// The symbols of a row; the cell behind a wide one is left out.
fn said(row: &[Cell]) -> String {
    let mut text = String::new();
    let mut skip = 0;
    for cell in row {
        if skip == 0 {
            text += cell.symbol();
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
        }
        skip -= 1;
    }
    text
}

fn styled(buffer: &Buffer) -> String {
    let letter = |cell: &Cell| match cell.fg {
        Color::Indexed(role) if cell.symbol() != " " => char::from(b'a' + role),
        _ => '.',
    };
    let (mut text, mut roles) = (String::new(), String::new());
    for row in rows(buffer) {
        let _ = writeln!(text, "{}", said(row).trim_end());
        let drawn: String = row.iter().map(letter).collect();
        let _ = writeln!(roles, "{}", drawn.trim_end_matches('.'));
    }
    let used = Role::ALL.into_iter().filter(|role| roles.contains(char::from(b'a' + *role as u8)));
    let legend: Vec<String> = used.map(|role| format!("{} {role:?}", char::from(b'a' + role as u8))).collect();
    format!("{text}{roles}{}", legend.join("  "))
}

fn parse(keys: &str) -> Vec<KeyEvent> {
    let mut found = Vec::new();
    let mut rest = keys;
    while let Some(letter) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|inside| inside.split_once('>'));
        if let Some((name, behind)) = named {
            found.push(named_key(name));
            rest = behind;
        } else {
            let shift = if letter.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
            found.push(KeyEvent::new(KeyCode::Char(letter), shift));
            rest = &rest[letter.len_utf8()..];
        }
    }
    found
}

fn named_key(name: &str) -> KeyEvent {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    match name {
        "Enter" => plain(KeyCode::Enter),
        "Esc" => plain(KeyCode::Esc),
        "Tab" => plain(KeyCode::Tab),
        "S-Tab" => KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT),
        "Up" => plain(KeyCode::Up),
        "Down" => plain(KeyCode::Down),
        "Left" => plain(KeyCode::Left),
        "Right" => plain(KeyCode::Right),
        "Home" => plain(KeyCode::Home),
        "End" => plain(KeyCode::End),
        "PageUp" => plain(KeyCode::PageUp),
        "PageDown" => plain(KeyCode::PageDown),
        "Space" => plain(KeyCode::Char(' ')),
        "Bs" => plain(KeyCode::Backspace),
        "Del" => plain(KeyCode::Delete),
        "F1" => plain(KeyCode::F(1)),
        "F2" => plain(KeyCode::F(2)),
        "F5" => plain(KeyCode::F(5)),
        "lt" => plain(KeyCode::Char('<')),
        other => match other.strip_prefix("C-").and_then(|letter| letter.chars().next()) {
            Some(letter) => KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL),
            None => panic!("<{other}> is no key"),
        },
    }
}
