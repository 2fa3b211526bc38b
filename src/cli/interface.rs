//! `nfold` without a command: the terminal interface; and the hidden command that is its engine.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::suggest::nearest;
use crate::tui::{self, StartError};
use crate::worker::{Server, serve as serve_engine};

use super::Session;
use super::args::{Cli, EngineArgs};
use super::exit::{Exit, Failure};

/// Opens the interface with these files, and with what is piped in.
pub(super) fn run(session: Session, files: Vec<PathBuf>, model: Option<String>) -> Result<Exit, Failure> {
    let (piped, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| file == Path::new("-"));
    for file in &files {
        check(file)?;
    }
    let mut arguments = Vec::new();
    if session.config_file.1 {
        arguments.extend([OsString::from("--config"), session.config_file.0.clone().into_os_string()]);
    }
    arguments.push("engine".into());
    let program = std::env::current_exe().map_err(|error| Failure::general(&error))?;
    let start = tui::Start {
        config: session.config,
        paths: session.paths,
        model,
        files,
        piped: !piped.is_empty() || !io::stdin().is_terminal(),
        engine: (program, arguments),
    };
    match tui::run(start)? {
        Some(signal) => Ok(Exit::Signal(signal)),
        None => Ok(Exit::Done),
    }
}

/// Files that are not there are told before the screen is taken; so is a mistyped command.
fn check(file: &Path) -> Result<(), Failure> {
    if file.exists() {
        return Ok(());
    }
    let command = Cli::command();
    let names: Vec<&str> =
        command.get_subcommands().filter(|one| !one.is_hide_set()).map(clap::Command::get_name).collect();
    let name = file.to_string_lossy();
    match nearest(&name, names.iter().copied()) {
        Some(near) => {
            Err(Failure::new(Exit::Usage, format!("`{name}` is no file and no command; did you mean `nfold {near}`?")))
        }
        None => Err(Failure::new(Exit::Input, format!("there is no file `{name}`; `nfold --help` lists commands"))),
    }
}

/// Works for the interface that started this process, until it is gone.
pub(super) fn serve(session: &Session, args: EngineArgs) -> Exit {
    let endpoint = (!args.offline).then_some(args.endpoint);
    let server = Server { config: session.config.clone(), paths: session.paths.clone(), endpoint };
    serve_engine(server, io::stdin(), io::stdout());
    Exit::Done
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::NoTerminal | StartError::Keys(_) => Exit::Usage,
            StartError::Terminal(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
