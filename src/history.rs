//! Earlier runs, one JSON object a line, in a file that only its owner can read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file;
use crate::run::Figures;

/// A file that grew beyond this loses the older half of its runs, in bytes.
const LARGEST: u64 = 32 << 20;

/// Longer documents are not kept with their runs, in bytes.
pub const LONGEST_DOCUMENT: usize = 1 << 20;

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended, in microseconds since 1970: entries are told apart by it.
    pub time: u64,
    /// What its document is called.
    pub document: String,
    /// The document; `None` where it was too long to be kept.
    pub text: Option<String>,
    /// The base model.
    pub model: String,
    /// The tasks.
    pub combination: String,
    /// What the method came to.
    pub strategy: String,
    /// The adapters and their weights.
    pub adapters: Vec<(String, f32)>,
    /// How tokens were chosen, in words.
    pub settings: String,
    /// What came out.
    pub answer: String,
    /// What it took.
    pub figures: Figures,
}

/// The file.
#[derive(Debug, Clone)]
pub struct History {
    path: PathBuf,
}

impl History {
    /// Kept in this file, which need not be there.
    #[must_use]
    pub fn in_file(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds a run.
    pub fn add(&self, entry: &Entry) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = options.open(&self.path)?;
        file.write_all(&line)?;
        if file.metadata()?.len() > LARGEST { self.halve() } else { Ok(()) }
    }

    fn halve(&self) -> io::Result<()> {
        let (mut entries, _) = self.read()?;
        entries.truncate(entries.len() / 2);
        entries.reverse();
        self.write(&entries)
    }

    /// All runs, the latest first. Where lines cannot be read the whole file is copied aside, and where to is told.
    pub fn read(&self) -> io::Result<(Vec<Entry>, Option<PathBuf>)> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
            other => other?,
        };
        let (mut entries, mut damaged) = (Vec::new(), false);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                Err(_) => damaged = true,
            }
        }
        let aside = match damaged {
            true => Some(self.put_aside(&entries)?),
            false => None,
        };
        entries.reverse();
        Ok((entries, aside))
    }

    /// Removes the run of that time.
    pub fn delete(&self, time: u64) -> io::Result<()> {
        let (mut entries, _) = self.read()?;
        entries.retain(|entry| entry.time != time);
        entries.reverse();
        self.write(&entries)
    }

    fn put_aside(&self, whole: &[Entry]) -> io::Result<PathBuf> {
        let aside = aside(&self.path);
        fs::copy(&self.path, &aside)?;
        self.write(whole)?;
        Ok(aside)
    }

    fn write(&self, entries: &[Entry]) -> io::Result<()> {
        file::write_whole(&self.path, |out| {
            for entry in entries {
                serde_json::to_writer(&mut *out, entry)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })?;
        #[cfg(unix)]
        fs::set_permissions(&self.path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(())
    }
}

fn aside(path: &Path) -> PathBuf {
    let names = (1..).map(|number| path.with_extension(format!("damaged-{number}.jsonl")));
    names.into_iter().find(|name| !name.exists()).unwrap_or_else(|| path.with_extension("damaged.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn entry(time: u64) -> Entry {
        Entry {
            time,
            document: "a.txt".to_owned(),
            text: Some("a text\nof two lines".to_owned()),
            model: "tiny".to_owned(),
            combination: "summarize".to_owned(),
            strategy: "adapter".to_owned(),
            adapters: vec![("summarize".to_owned(), 1.0)],
            settings: "greedy".to_owned(),
            answer: format!("answer {time}"),
            figures: Figures {
                passes: 1,
                prompt: 10,
                output: 5,
                context: 256,
                load: Duration::ZERO,
                compose: Duration::ZERO,
                prefill: Duration::from_millis(10),
                decode: Duration::from_millis(5),
                first_token: Duration::from_millis(11),
                threads: 2,
            },
        }
    }

    #[test]
    fn runs_are_kept_read_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::in_file(folder.path().join("made/history.jsonl"));
        assert_eq!(history.read().unwrap(), (Vec::new(), None));
        for time in 1..=3 {
            history.add(&entry(time)).unwrap();
        }
        assert_eq!(history.read().unwrap().0, [entry(3), entry(2), entry(1)]);
        history.delete(2).unwrap();
        assert_eq!(history.read().unwrap().0, [entry(3), entry(1)]);
        #[cfg(unix)]
        {
            let about = fs::metadata(folder.path().join("made/history.jsonl")).unwrap();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::in_file(folder.path().join("history.jsonl"));
        let long = |time| Entry { text: Some("x".repeat(1 << 20)), ..entry(time) };
        for time in 1..=33 {
            history.add(&long(time)).unwrap();
        }
        let kept: Vec<u64> = history.read().unwrap().0.iter().map(|entry| entry.time).collect();
        assert!(kept.len() < 20 && kept.first() == Some(&33), "{kept:?}");
    }

    #[test]
    fn a_damaged_file_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let history = History::in_file(path.clone());
        history.add(&entry(1)).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"{\"time\": 2, \"docu\xff\n", &whole[..]].concat()).unwrap();
        let (entries, aside) = history.read().unwrap();
        assert_eq!(entries, [entry(1), entry(1)]);
        assert!(fs::read(aside.unwrap()).unwrap().len() > whole.len() * 2);
        assert_eq!(history.read().unwrap().1, None);
    }
}
