//! `nfold config`: where it is, what it says, a new one, whether it is right.

use std::path::PathBuf;

use crate::config::{Config, EXAMPLE};
use crate::file;
use crate::paths::Paths;
use crate::tui;

use super::args::ConfigCommand;
use super::console::Console;
use super::exit::{Exit, Failure};

pub(super) fn run(
    command: &ConfigCommand,
    located: &(Paths, PathBuf, bool),
    console: Console,
) -> Result<Exit, Failure> {
    let (paths, path, named) = located;
    let wrong = |error: crate::config::ConfigError| Failure::new(Exit::Usage, error);
    match command {
        ConfigCommand::Path => Console::out(&format!("{}\n", path.display()))?,
        ConfigCommand::Show => {
            let config = Config::load(path, *named).map_err(wrong)?;
            let text = toml::to_string(&config).map_err(|error| Failure::general(&error))?;
            Console::out(&text)?;
        }
        ConfigCommand::Init { force } => {
            if path.exists() && !force {
                let message = format!("`{}` is there already; `--force` replaces it", path.display());
                return Err(Failure::new(Exit::Failed, message));
            }
            file::write_bytes(path, template().as_bytes())
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display())))?;
            console.note(&format!("wrote `{}`", path.display()));
        }
        ConfigCommand::Check { file } => {
            let path = file.as_ref().unwrap_or(path);
            let config = Config::load(path, true).map_err(wrong)?;
            tui::check(&config, paths)
                .map_err(|problem| Failure::new(Exit::Usage, format!("`{}`: {problem}", path.display())))?;
            console.note(&format!("`{}` is right", path.display()));
        }
    }
    Ok(Exit::Done)
}

/// The example with every setting commented out, so that defaults of later versions are not overruled by accident.
fn template() -> String {
    let comment = |line: &str| match line.is_empty() || line.starts_with('#') || line.starts_with('[') {
        true => format!("{line}\n"),
        false => format!("# {line}\n"),
    };
    // A task's table must be whole, so its header is commented out with it.
    EXAMPLE
        .lines()
        .map(|line| {
            if line.starts_with("[tasks.") || line.starts_with("[models.") {
                format!("# {line}\n")
            } else {
                comment(line)
            }
        })
        .collect()
}
