//! Doing what the interface wants done: files, folders, history, clipboard, editor. What takes time is done beside the loop.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedSender;

use crate::config::Config;
use crate::document;
use crate::file;
use crate::history::History;
use crate::model::Store;
use crate::paths::Paths;
use crate::sanitize::sanitize;

use super::app::{Effect, Event, Listed, Model};
use super::clipboard::Clipboard;
use super::environment::Environment;
use super::theme::{self, Kind, Theme};

/// How much of a file is shown beside its name, in bytes.
const HEAD: u64 = 16 << 10;

/// How long a terminal may take to tell its background.
const PATIENCE: Duration = Duration::from_millis(30);

/// What comes back from outside.
#[derive(Debug)]
pub(super) enum Outside {
    Event(Event),
    /// The terminal is the only way to a clipboard.
    CopyThroughTerminal(String),
}

/// Does effects.
#[derive(Debug)]
pub(super) struct Performer {
    config: Config,
    paths: Paths,
    environment: Environment,
    history: History,
    clipboard: Clipboard,
    outside: UnboundedSender<Outside>,
}

impl Performer {
    pub(super) fn new(config: Config, paths: Paths, outside: UnboundedSender<Outside>) -> Self {
        let environment = Environment::read();
        let clipboard = Clipboard::new(environment.clone(), paths.cache.join("copied.txt"), outside.clone());
        let history = History::in_file(paths.history());
        Self { config, paths, environment, history, clipboard, outside }
    }

    pub(super) fn tell(&self, event: Event) {
        drop(self.outside.send(Outside::Event(event)));
    }

    /// Does something beside the loop and tells what came of it.
    fn beside(&self, work: impl FnOnce() -> Option<Event> + Send + 'static) {
        let outside = self.outside.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(event) = work() {
                drop(outside.send(Outside::Event(event)));
            }
        });
    }

    pub(super) fn perform(&self, effect: Effect) {
        match effect {
            Effect::Open(files) => self.open(files),
            Effect::List { folder, hidden } => self.beside(move || {
                let listed = list(&folder, hidden).map_err(|error| format!("cannot read the folder: {error}"));
                Some(Event::Listed(folder, listed))
            }),
            Effect::Preview(path) => self.beside(move || Some(Event::Previewed(path.clone(), head(&path)))),
            Effect::Copy(text) => self.clipboard.copy(text),
            Effect::Save { path, text, overwrite } => self.beside(move || Some(save(&path, &text, overwrite))),
            Effect::Remember(mut entry) => {
                entry.time = now();
                let history = self.history.clone();
                self.beside(move || history.add(&entry).err().map(|error| problem("the run is not kept", &error)));
            }
            Effect::ReadHistory => self.read_history(None),
            Effect::Forget(time) => self.read_history(Some(time)),
            Effect::ListModels => self.list_models(),
            Effect::ListThemes => self.tell(Event::Themes(theme::names(&self.paths.themes()))),
            // The loop does these itself.
            Effect::Send(_)
            | Effect::SendDocument(_)
            | Effect::Restart
            | Effect::Edit(..)
            | Effect::Theme(_)
            | Effect::Mouse(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Quit => {}
        }
    }

    pub(super) fn open(&self, files: Vec<PathBuf>) {
        self.beside_each(files, |path| {
            let path = fs::canonicalize(&path).unwrap_or(path);
            let read = document::open(&path).map_err(|error| error.to_string());
            Event::Opened(path, read)
        });
    }

    fn beside_each(&self, files: Vec<PathBuf>, work: impl Fn(PathBuf) -> Event + Send + 'static) {
        let outside = self.outside.clone();
        tokio::task::spawn_blocking(move || {
            for path in files {
                drop(outside.send(Outside::Event(work(path))));
            }
        });
    }

    /// Reads the document that is piped in; it is called `-`.
    pub(super) fn read_standard_input(&self) {
        self.beside(|| {
            let read = document::read(&mut io::stdin().lock(), "standard input").map_err(|error| error.to_string());
            Some(Event::Opened(PathBuf::from("-"), read))
        });
    }

    /// Reads earlier runs, without the one of the time that is given.
    fn read_history(&self, without: Option<u64>) {
        let (history, outside) = (self.history.clone(), self.outside.clone());
        tokio::task::spawn_blocking(move || {
            let tell = |event| drop(outside.send(Outside::Event(event)));
            if let Some(Err(error)) = without.map(|time| history.delete(time)) {
                tell(problem("it is not deleted", &error));
            }
            match history.read() {
                Ok((entries, aside)) => {
                    tell(Event::History(entries, now()));
                    if let Some(aside) = aside {
                        let kept = format!("the history was damaged; the whole file is kept as {}", aside.display());
                        tell(Event::Told(Err(kept)));
                    }
                }
                Err(error) => {
                    tell(Event::History(Vec::new(), now()));
                    tell(problem("the history cannot be read", &error));
                }
            }
        });
    }

    fn list_models(&self) {
        let (config, paths) = (self.config.clone(), self.paths.clone());
        self.beside(move || {
            let folder = paths.models();
            let store = Store { known: &config.models, folder: &folder, hub: &paths.hub };
            let known = config.models.iter();
            let mut models: Vec<Model> = known
                .map(|(name, entry)| Model { name: name.clone(), here: store.find(name).is_ok(), size: entry.size })
                .collect();
            let size = |path: &Path| fs::metadata(path).ok().map(|about| about.len());
            let others = store.others().into_iter();
            models.extend(others.map(|found| Model { size: size(&found.path), name: found.name, here: true }));
            Some(Event::Models(models))
        });
    }

    /// The theme that is configured, or one that fits the terminal's background.
    pub(super) fn usual_theme(&self) -> String {
        let configured = &self.config.interface.theme;
        if configured != "auto" {
            return configured.clone();
        }
        if self.environment.depth == theme::Depth::Ansi16 {
            return "ansi16".to_owned();
        }
        let mut options = terminal_colorsaurus::QueryOptions::default();
        options.timeout = PATIENCE;
        let kind = match terminal_colorsaurus::theme_mode(options) {
            Ok(terminal_colorsaurus::ThemeMode::Light) => Kind::Light,
            Ok(terminal_colorsaurus::ThemeMode::Dark) | Err(_) => Kind::Dark,
        };
        Theme::usual(kind).to_owned()
    }

    /// A theme in the terminal's colours; where it has a mistake, the usual one and the mistake.
    pub(super) fn theme(&self, name: &str) -> (Theme, Option<String>) {
        let folder = self.paths.themes();
        let (theme, problem) = match Theme::load(name, &folder) {
            Ok(theme) => (theme, None),
            Err(error) => {
                let usual = Theme::load(Theme::usual(Kind::Dark), Path::new("")).unwrap_or_else(|_| Theme::plain());
                (usual, Some(error.to_string()))
            }
        };
        (theme.at(self.environment.depth), problem)
    }

    /// Runs the user's editor on a text and gives what came of it.
    pub(super) async fn edit(&self, text: &str) -> Result<String, String> {
        let editor = self.environment.editor.clone().unwrap_or_else(|| "vi".to_owned());
        let failed = |error: io::Error| format!("the text cannot be handed to the editor: {error}");
        let mut file = tempfile::Builder::new().prefix("nfold-").suffix(".txt").tempfile().map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        let mut command = tokio::process::Command::new("sh");
        command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file.path());
        if let Ok(terminal) = fs::File::open("/dev/tty") {
            command.stdin(Stdio::from(terminal));
        }
        let status = command.status().await.map_err(failed)?;
        if !status.success() {
            return Err(format!(
                "`{editor}` ended with {status}; the document is as it was. $VISUAL or $EDITOR names another"
            ));
        }
        document::open(file.path()).map(|read| read.text).map_err(|error| error.to_string())
    }
}

/// Microseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

fn problem(what: &str, error: &io::Error) -> Event {
    Event::Told(Err(format!("{what}: {error}")))
}

/// A folder's folders and files, in this order, by name.
fn list(folder: &Path, hidden: bool) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if hidden || !name.starts_with('.') {
            let about = fs::metadata(entry.path()).ok();
            let folder = about.as_ref().is_some_and(fs::Metadata::is_dir);
            listed.push(Listed { name, folder, size: about.map_or(0, |about| about.len()) });
        }
    }
    listed.sort_by_key(|entry| (!entry.folder, entry.name.to_lowercase()));
    Ok(listed)
}

/// The head of a file as text, or what is wrong with it.
fn head(path: &Path) -> String {
    if !path.is_file() {
        return "(not a regular file)".to_owned();
    }
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut bytes)) {
        Err(error) => format!("({error})"),
        Ok(_) if bytes.contains(&0) => "(binary data)".to_owned(),
        Ok(_) => sanitize(&String::from_utf8_lossy(&bytes)),
    }
}

fn save(path: &Path, text: &str, overwrite: bool) -> Event {
    let path = expand(path);
    if path.exists() && !overwrite {
        return Event::Exists(path);
    }
    let result =
        file::check_writable(&path).and_then(|()| file::write_whole(&path, |out| out.write_all(text.as_bytes())));
    Event::Told(match result {
        Ok(()) => Ok(format!("saved as {}", path.display())),
        Err(error) => Err(format!("cannot write `{}`: {error}", path.display())),
    })
}

/// A path with `~` as shells understand it.
fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), directories::BaseDirs::new()) {
        (Ok(rest), Some(base)) => base.home_dir().join(rest),
        _ => path.to_path_buf(),
    }
}
