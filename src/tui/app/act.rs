//! What each action does.

use super::{
    Action, App, Asked, Chooser, DocumentId, Effect, For, Instant, Item, Method, Page, Pane, Popup, Prompt, What,
    export, options,
};

impl App {
    pub(super) fn act(&mut self, action: Action, now: Instant) -> Vec<Effect> {
        match action {
            Action::Run => return self.run(&[self.choice.method], now),
            Action::Cancel => return self.cancel(),
            Action::Interrupt => return self.interrupt(),
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::NextPane => self.move_focus(true),
            Action::PreviousPane => self.move_focus(false),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::Start | Action::End => {
                self.move_in(action);
            }
            Action::Toggle => return self.toggle(self.choice.cursor()),
            Action::Language => self.popup = Some(Popup::Prompt(Box::new(Prompt::new(Asked::Language, "")))),
            Action::Method => options::next_method(&mut self.choice, true),
            Action::Options => self.popup = Some(Popup::Options(0)),
            Action::Compare => self.choose_methods(),
            Action::Difference => self.answers.show_differences = !self.answers.show_differences,
            Action::Open => return self.list_folder(false),
            Action::New => {
                let id = self.new_document();
                self.edit(id);
            }
            Action::Edit => {
                let id = self.some_document();
                self.edit(id);
            }
            Action::EditExternally => return self.edit_externally(),
            Action::Close => self.close_document(),
            Action::NextDocument => self.documents.cycle(true),
            Action::PreviousDocument => self.documents.cycle(false),
            Action::Reference => self.toggle_reference(),
            Action::Search => self.popup = Some(Popup::Prompt(Box::new(Prompt::new(Asked::Search, "")))),
            Action::NextMatch => self.find(true),
            Action::PreviousMatch => self.find(false),
            Action::Copy => return self.copy(),
            Action::Save => self.ask_where_to_save(),
            Action::History => return self.list(For::History, Effect::ReadHistory),
            Action::Models => return self.list(For::Models, Effect::ListModels),
            Action::Themes => return self.list(For::Themes(self.theme.clone()), Effect::ListThemes),
            Action::Mouse => return self.toggle_mouse(),
            Action::Palette => self.list_actions(),
            Action::Help => self.popup = Some(Popup::Text("Keys", Page::new(self.help()))),
        }
        Vec::new()
    }

    /// The first ends the run, the next one nfold.
    fn interrupt(&mut self) -> Vec<Effect> {
        match self.answers.is_running() || self.link.pull.is_some() {
            true => self.cancel(),
            false => vec![Effect::Quit],
        }
    }

    fn move_focus(&mut self, forward: bool) {
        // Answers side by side are stops of their own.
        if self.focus == Pane::Answer && self.answers.step(forward) {
            return;
        }
        let order = [Pane::Documents, Pane::Tasks, Pane::Document, Pane::Answer];
        let at = order.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        self.focus = order[(at + if forward { 1 } else { order.len() - 1 }) % order.len()];
        if self.focus == Pane::Answer {
            self.answers.select(if forward { 0 } else { self.answers.list().len().saturating_sub(1) });
        }
    }

    fn move_in(&mut self, action: Action) {
        let list = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => -10,
            Action::PageDown => 10,
            Action::Start => isize::MIN,
            _ => isize::MAX,
        };
        match self.focus {
            Pane::Documents => self.documents.step(list),
            Pane::Tasks => self.choice.step(list),
            Pane::Document => {
                if let Some(document) = self.documents.current_mut() {
                    move_page(&mut document.page, action);
                }
            }
            Pane::Answer => self.answers.scroll(|page| move_page(page, action)),
        }
    }

    /// The text that has the focus: the answer's, else the document's.
    pub(super) fn focused_page(&mut self) -> Option<&mut Page> {
        match self.focus == Pane::Answer && self.answers.current().is_some() {
            true => self.answers.current_page(),
            false => self.documents.current_mut().map(|document| &mut document.page),
        }
    }

    fn find(&mut self, forward: bool) {
        let found = self.focused_page().is_some_and(|page| page.find(forward));
        if !found {
            self.message = Some(Err("nothing was found".to_owned()));
        }
    }

    fn choose_methods(&mut self) {
        let methods = Method::ALL.into_iter().filter(|method| *method != Method::Auto);
        let item = |method: Method| Item {
            label: method.to_string(),
            note: about(method).to_owned(),
            what: What::Method(method),
        };
        self.popup = Some(Popup::Chooser(Chooser::new(For::Methods, methods.map(item).collect())));
    }

    fn list_actions(&mut self) {
        let row = |(row, keys): (&super::super::action::Row, String)| Item {
            label: row.does.to_owned(),
            note: keys,
            what: What::Action(row.action),
        };
        let items = self.keymap.rows().filter(|(row, _)| row.action != Action::Palette).map(row).collect();
        self.popup = Some(Popup::Chooser(Chooser::new(For::Palette, items)));
    }

    /// Opens a list whose rows come when the effect has been done.
    fn list(&mut self, purpose: For, effect: Effect) -> Vec<Effect> {
        let mut chooser = Chooser::new(purpose, Vec::new());
        chooser.note = Some("one moment".to_owned());
        self.popup = Some(Popup::Chooser(chooser));
        vec![effect]
    }

    pub(super) fn list_folder(&mut self, hidden: bool) -> Vec<Effect> {
        let folder = self.folder.clone();
        self.list(For::Files { folder: folder.clone(), hidden }, Effect::List { folder, hidden })
    }

    fn new_document(&mut self) -> DocumentId {
        let name = self.documents.new_name("text");
        self.documents.open(&name, None, "")
    }

    /// The document that is shown, or a new one.
    fn some_document(&mut self) -> DocumentId {
        match self.documents.current() {
            Some(document) => document.id,
            None => self.new_document(),
        }
    }

    fn edit_externally(&mut self) -> Vec<Effect> {
        let id = self.some_document();
        let text = self.documents.get(id).map_or_else(String::new, |document| document.page.text().to_owned());
        vec![Effect::Edit(id, text)]
    }

    fn close_document(&mut self) {
        if let Some(id) = self.documents.current().map(|document| document.id) {
            self.documents.close(id);
            self.rescore();
        }
    }

    fn toggle_reference(&mut self) {
        let is_one = self.documents.toggle_reference();
        self.rescore();
        let name = self.documents.current().map_or("", |document| document.name.as_str());
        self.message = Some(Ok(match is_one {
            true => format!("answers are scored against `{name}`"),
            false => "answers are scored no more".to_owned(),
        }));
    }

    fn copy(&mut self) -> Vec<Effect> {
        let text = self.answers.current().map(|answer| answer.text().to_owned()).filter(|text| !text.is_empty());
        if text.is_none() {
            self.message = Some(Err("there is no answer to copy yet".to_owned()));
        }
        text.into_iter().map(Effect::Copy).collect()
    }

    fn ask_where_to_save(&mut self) {
        if self.answers.current().is_none_or(|answer| answer.text().is_empty()) {
            self.message = Some(Err("there is no answer to save yet".to_owned()));
            return;
        }
        let stem = self.source.name.split('.').next().unwrap_or("answer").replace([' ', '/'], "-");
        let tasks = self.answers.current().map_or_else(String::new, |answer| answer.ask.tasks.join("+"));
        let name = format!("{stem}.{}.md", crate::library::file_stem(&tasks));
        self.popup = Some(Popup::Prompt(Box::new(Prompt::new(Asked::Save, &name))));
    }

    pub(super) fn save(&mut self, path: &str, overwrite: bool) -> Vec<Effect> {
        let Some(answer) = self.answers.current() else { return Vec::new() };
        let path = std::path::PathBuf::from(path.trim());
        let entry = export::entry(answer, &self.source);
        // An answer that was cut short has no figures; its text is all there is.
        let text = entry.map_or_else(|| format!("{}\n", answer.text()), |entry| export::file(&path, &entry));
        vec![Effect::Save { path, text, overwrite }]
    }

    fn toggle_mouse(&mut self) -> Vec<Effect> {
        self.mouse = !self.mouse;
        let message =
            if self.mouse { "the mouse is nfold's; shift selects text" } else { "the mouse is the terminal's" };
        self.message = Some(Ok(message.to_owned()));
        vec![Effect::Mouse(self.mouse)]
    }

    /// The keys, from the keymap itself.
    fn help(&self) -> String {
        let rows: Vec<(String, &str)> = self.keymap.rows().map(|(row, keys)| (keys, row.does)).collect();
        let width = rows.iter().map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
        let line = |(keys, does): &(String, &str)| format!("{keys:<width$}  {does}\n");
        let table: String = rows.iter().map(line).collect();
        format!(
            "{:<width$}  turn a task on or off\n{table}\nIn lists: type to filter, enter takes, esc leaves.",
            "1 … 9"
        )
    }
}

pub(super) fn move_page(page: &mut Page, action: Action) {
    match action {
        Action::Up => page.scroll(-1),
        Action::Down => page.scroll(1),
        Action::PageUp => page.scroll_pages(-1),
        Action::PageDown => page.scroll_pages(1),
        Action::Start => page.start(),
        _ => page.end(),
    }
}

fn about(method: Method) -> &'static str {
    match method {
        Method::Auto => "the best that is there",
        Method::Prompt => "the bare model",
        Method::Linear => "adapters merged factor by factor",
        Method::Concat => "adapters merged side by side",
        Method::Calibrated => "merged and corrected",
        Method::MultiStep => "one pass for each task",
    }
}
