//! Keys in what lies over the panes, the mouse, and what comes back from effects.

use crate::document::Text;
use crate::plan::Ask;

use super::{
    Action, Answer, App, Asked, Chooser, Chosen, DocumentId, Effect, Entry, Event, For, Instant, Item, KeyCode,
    KeyEvent, KeyModifiers, Listed, Method, MouseButton, MouseEvent, MouseEventKind, Page, Pane, Path, Popup, Position,
    Rect, What, act, layout, options, sanitize,
};

impl App {
    pub(super) fn popup_key(&mut self, key: KeyEvent, now: Instant) -> Vec<Effect> {
        let leaves = key.code == KeyCode::Esc
            || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL));
        match &mut self.popup {
            Some(Popup::Chooser(chooser)) => {
                let chosen = chooser.key(key);
                return self.chosen(chosen, now);
            }
            // Leaving the text area takes the text over: nothing that was typed is lost.
            Some(Popup::Editor(id, area)) if leaves => {
                let (id, text) = (*id, area.lines().join("\n"));
                self.popup = None;
                self.take_edited(id, text);
            }
            Some(Popup::Editor(_, area)) => drop(area.input(key)),
            _ if leaves => self.popup = None,
            Some(Popup::Prompt(prompt)) if key.code == KeyCode::Enter => {
                let (asked, text) = (prompt.asked, prompt.text());
                self.popup = None;
                return self.answered(asked, text.trim());
            }
            Some(Popup::Prompt(prompt)) => drop(prompt.line.input(key)),
            Some(Popup::Options(_)) => self.options_key(key),
            Some(Popup::Text(_, page)) => match self.keymap.action(key, super::Scope::Everywhere) {
                Some(Action::Help | Action::Quit | Action::Run) => self.popup = None,
                Some(
                    action @ (Action::Up
                    | Action::Down
                    | Action::PageUp
                    | Action::PageDown
                    | Action::Start
                    | Action::End),
                ) => act::move_page(page, action),
                _ => {}
            },
            None => {}
        }
        Vec::new()
    }

    /// Takes an edited text over; a text of no file that is blank is closed.
    fn take_edited(&mut self, id: DocumentId, text: String) {
        let Some(document) = self.documents.get(id) else { return };
        if text.trim().is_empty() && document.path.is_none() {
            self.documents.close(id);
        } else if document.page.text().trim_end() != text.trim_end() {
            self.documents.replace(id, text);
        }
        self.rescore();
    }

    fn options_key(&mut self, key: KeyEvent) {
        let Some(Popup::Options(row)) = &mut self.popup else { return };
        let last = options::rows(&self.choice, &self.config).len().saturating_sub(1);
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => *row = row.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => *row = (*row + 1).min(last),
            KeyCode::Left | KeyCode::Char('h') => options::change(&mut self.choice, *row, false, &self.config),
            KeyCode::Right | KeyCode::Char('l') => options::change(&mut self.choice, *row, true, &self.config),
            KeyCode::Char('r') => options::reset(&mut self.choice, &self.config),
            KeyCode::Enter | KeyCode::Char('q' | 'o') => self.popup = None,
            _ => {}
        }
    }

    fn answered(&mut self, asked: Asked, text: &str) -> Vec<Effect> {
        match asked {
            Asked::Save | Asked::Overwrite if !text.is_empty() => return self.save(text, asked == Asked::Overwrite),
            Asked::Search => {
                let found = self.focused_page().is_some_and(|page| page.search(text));
                if !found && !text.is_empty() {
                    self.message = Some(Err(format!("`{text}` was not found")));
                }
            }
            Asked::Language if !text.is_empty() => {
                let task = if text.contains(':') { text.to_owned() } else { format!("translate:{text}") };
                self.message = self.choice.add(&task, &self.config).err().map(Err);
            }
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn chosen(&mut self, chosen: Chosen, now: Instant) -> Vec<Effect> {
        let Some(Popup::Chooser(chooser)) = &mut self.popup else { return Vec::new() };
        match (chosen, chooser.purpose.clone()) {
            (Chosen::Left, For::Themes(before)) => {
                self.popup = None;
                return self.use_theme(before);
            }
            (Chosen::Left, _) => self.popup = None,
            (Chosen::Moved, _) => return self.preview(),
            (Chosen::Up, For::Files { folder, hidden }) => {
                let above = folder.parent().map_or_else(|| folder.clone(), Path::to_path_buf);
                return self.show_folder(&above, hidden);
            }
            (Chosen::Hidden, For::Files { folder, hidden }) => return self.show_folder(&folder, !hidden),
            (Chosen::Delete(What::Entry(entry)), _) => return vec![Effect::Forget(entry.time)],
            (Chosen::Taken(taken), purpose) => return self.taken(taken, &purpose, now),
            _ => {}
        }
        Vec::new()
    }

    fn show_folder(&mut self, folder: &Path, hidden: bool) -> Vec<Effect> {
        self.folder = folder.to_path_buf();
        self.list_folder(hidden)
    }

    /// Shows what is under the cursor: a file's head, an earlier answer, a theme.
    fn preview(&mut self) -> Vec<Effect> {
        let Some(Popup::Chooser(chooser)) = &mut self.popup else { return Vec::new() };
        match chooser.current().map(|item| item.what.clone()) {
            Some(What::File(path)) => return vec![Effect::Preview(path)],
            Some(What::Theme(name)) => return self.use_theme(name),
            Some(What::Entry(entry)) => chooser.preview = Some(Page::new(sanitize(&entry.answer))),
            _ => chooser.preview = None,
        }
        Vec::new()
    }

    fn use_theme(&mut self, name: String) -> Vec<Effect> {
        self.theme.clone_from(&name);
        vec![Effect::Theme(name)]
    }

    fn taken(&mut self, taken: Vec<What>, purpose: &For, now: Instant) -> Vec<Effect> {
        let methods: Vec<Method> = taken
            .iter()
            .filter_map(|what| if let What::Method(method) = what { Some(*method) } else { None })
            .collect();
        if !methods.is_empty() {
            if !(2..=4).contains(&methods.len()) {
                self.message = Some(Err("mark two to four methods with Tab".to_owned()));
                return Vec::new();
            }
            self.popup = None;
            return self.run(&methods, now);
        }
        if let (Some(What::Folder(folder)), For::Files { hidden, .. }) = (taken.first(), purpose) {
            return self.show_folder(&folder.clone(), *hidden);
        }
        self.popup = None;
        let mut files = Vec::new();
        for what in taken {
            match what {
                What::Action(action) => return self.act(action, now),
                What::File(path) => files.push(path),
                What::Theme(name) => return self.use_theme(name),
                What::Model(name) => {
                    self.choice.model = name;
                    self.link.forget_measure();
                }
                What::Entry(entry) => self.reopen(&entry),
                What::Folder(_) | What::Method(_) => {}
            }
        }
        if files.is_empty() { Vec::new() } else { vec![Effect::Open(files)] }
    }

    /// Brings an earlier run back: its document, tasks and answer.
    fn reopen(&mut self, entry: &Entry) {
        if self.answers.is_running() {
            self.message = Some(Err("a run is going on".to_owned()));
            return;
        }
        let same = |open: &super::Document| Some(open.page.text()) == entry.text.as_deref();
        match (self.documents.list().iter().position(same), &entry.text) {
            (Some(open), _) => self.documents.select(open),
            (None, Some(text)) => {
                self.documents.open(&entry.document, None, text.as_str());
            }
            (None, None) => {}
        }
        self.choice.set(&entry.combination, &self.config);
        let method = Method::ALL.into_iter().find(|method| method.name() == entry.strategy).unwrap_or(Method::Auto);
        let ask = Ask { model: entry.model.clone(), ..self.choice.ask(method, &self.config) };
        let text = entry.text.clone().unwrap_or_default();
        self.source = super::Source { name: entry.document.clone(), text, version: 0 };
        self.answers.show(Answer::earlier(ask, entry));
        self.focus = Pane::Answer;
        self.rescore();
    }

    pub(super) fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        let at = Position::new(mouse.column, mouse.row);
        let by: isize = match mouse.kind {
            MouseEventKind::ScrollUp => -3,
            MouseEventKind::ScrollDown => 3,
            MouseEventKind::Down(MouseButton::Left) if self.popup.is_none() => return self.click(at),
            _ => return Vec::new(),
        };
        match &mut self.popup {
            Some(Popup::Chooser(chooser)) => {
                let row = chooser.cursor().saturating_add_signed(by.signum());
                chooser.select(row);
                return self.preview();
            }
            Some(Popup::Text(_, page)) => page.scroll(by),
            Some(_) => {}
            None => {
                let areas = self.areas();
                if areas.document.contains(at)
                    && let Some(document) = self.documents.current_mut()
                {
                    document.page.scroll(by);
                }
                if areas.answers.iter().any(|area| area.contains(at)) {
                    self.answers.scroll(|page| page.scroll(by));
                }
            }
        }
        Vec::new()
    }

    fn click(&mut self, at: Position) -> Vec<Effect> {
        let areas = self.areas();
        let row = |area: Rect| {
            let inner = layout::inside(area);
            inner.contains(at).then(|| usize::from(at.y - inner.y))
        };
        if let Some(row) = row(areas.documents) {
            self.focus = Pane::Documents;
            let window = self.documents.window(usize::from(layout::inside(areas.documents).height));
            self.documents.select(window.start + row);
        } else if let Some(row) = row(areas.tasks) {
            self.focus = Pane::Tasks;
            let rows = usize::from(layout::inside(areas.tasks).height);
            let window = super::window(self.choice.cursor(), self.choice.items().len(), rows);
            return self.toggle(window.start + row);
        } else if areas.document.contains(at) {
            self.focus = Pane::Document;
        } else if let Some(index) = areas.answers.iter().position(|area| area.contains(at)) {
            self.focus = Pane::Answer;
            self.answers.select(index);
        }
        Vec::new()
    }

    /// Takes in what an effect has come to.
    pub(super) fn came_back(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Opened(path, result) => self.opened(&path, result),
            Event::Edited(id, text) => self.take_edited(id, text),
            Event::Told(told) => self.message = Some(told),
            Event::Exists(path) => {
                let prompt = super::Prompt::new(Asked::Overwrite, &path.to_string_lossy());
                self.popup = Some(Popup::Prompt(Box::new(prompt)));
            }
            Event::Previewed(path, text) => {
                if let Some(Popup::Chooser(chooser)) = &mut self.popup
                    && chooser.current().is_some_and(|item| item.what == What::File(path))
                {
                    chooser.preview = Some(Page::new(text));
                }
            }
            other => return self.fill(other),
        }
        Vec::new()
    }

    fn opened(&mut self, path: &Path, result: Result<Text, String>) {
        match result {
            Ok(read) => {
                let piped = path == Path::new("-");
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                let name = if piped { "standard input".into() } else { name };
                self.documents.open(&sanitize(&name), Some(path).filter(|_| !piped), read.text);
                // What was said before, as of a theme with a mistake, stays.
                if let Some(encoding) = read.encoding {
                    self.message = Some(Ok(format!("{name} is not UTF-8; read as {encoding}")));
                }
                self.rescore();
            }
            Err(message) => self.message = Some(Err(message)),
        }
    }

    /// Fills the list that waits for these rows.
    fn fill(&mut self, event: Event) -> Vec<Effect> {
        let Some(Popup::Chooser(chooser)) = &mut self.popup else { return Vec::new() };
        match (event, &chooser.purpose) {
            (Event::Listed(of, result), For::Files { folder, .. }) if of == *folder => match result {
                Ok(listed) => chooser.set(listed.iter().map(|entry| file_item(&of, entry)).collect(), None),
                Err(problem) => chooser.set(Vec::new(), Some(problem)),
            },
            (Event::Models(models), For::Models) => chooser.set(models.into_iter().map(model_item).collect(), None),
            (Event::Themes(names), For::Themes(before)) => {
                let before = before.clone();
                let item = |name: String| Item { label: name.clone(), note: String::new(), what: What::Theme(name) };
                chooser.set(names.into_iter().map(item).collect(), None);
                chooser.move_to(|what| *what == What::Theme(before.clone()));
            }
            (Event::History(entries, now), For::History) => fill_history(chooser, entries, now),
            _ => return Vec::new(),
        }
        self.preview()
    }
}

fn fill_history(chooser: &mut Chooser, entries: Vec<Entry>, now: u64) {
    let note = entries.is_empty().then(|| "no runs are kept yet".to_owned());
    let item = |entry: Entry| Item {
        label: format!("{:<10} {}", age(now.saturating_sub(entry.time)), entry.combination),
        note: format!("{}, {}", sanitize(&entry.document), entry.strategy),
        what: What::Entry(Box::new(entry)),
    };
    chooser.set(entries.into_iter().map(item).collect(), note);
}

fn file_item(folder: &Path, entry: &Listed) -> Item {
    let path = folder.join(&entry.name);
    let name = sanitize(&entry.name);
    match entry.folder {
        true => Item { label: format!("{name}/"), note: String::new(), what: What::Folder(path) },
        false => Item { label: name, note: bytes(entry.size), what: What::File(path) },
    }
}

fn model_item(model: super::Model) -> Item {
    let size = model.size.map_or_else(String::new, bytes);
    let note = if model.here { size } else { format!("{size}, not here; enter downloads it") };
    Item { label: sanitize(&model.name), note, what: What::Model(model.name) }
}

/// How long ago something was, from microseconds.
fn age(micros: u64) -> String {
    match micros / 60_000_000 {
        0 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..1440 => format!("{} h ago", minutes / 60),
        minutes => format!("{} d ago", minutes / 1440),
    }
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} KB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
