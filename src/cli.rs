//! The command line: what can be typed, and which room does it.

mod adapters;
mod args;
mod config;
mod console;
mod doctor;
mod eval;
mod exit;
mod input;
mod interface;
mod models;
mod report;
mod run;
mod signals;
mod tasks;
#[cfg(feature = "train")]
mod train;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use crate::config::Config;
use crate::paths::Paths;

use args::{Cli, Command, Global};
use console::Console;
use exit::{Exit, Failure};

/// What every command works with.
struct Session {
    config: Config,
    /// The configuration file in use, and whether it was named by the user.
    config_file: (PathBuf, bool),
    paths: Paths,
    console: Console,
}

/// Runs one command line and gives the exit code. Errors are one line on stderr, beginning with `nfold: `.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let console = Console::new(cli.global.quiet, cli.global.verbose);
    console.start_logging();
    let result = dispatch(cli, console);
    match result {
        Ok(exit) => exit.into(),
        Err(failure) if failure.exit == Exit::Done => Exit::Done.into(),
        Err(failure) => {
            Console::error(&failure.message);
            failure.exit.into()
        }
    }
}

/// What was typed. `--model` before a command would be the interface's, which a command does not open.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    if matches.subcommand_name().is_some() && matches.value_source("model") == Some(ValueSource::CommandLine) {
        let message = "`--model` stands behind the command, as in `nfold summarize --model NAME`\n";
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
    }
    Cli::from_arg_matches(&matches)
}

/// clap's own messages: help and version on stdout, errors on stderr.
fn usage(error: &clap::Error) -> ExitCode {
    drop(error.print());
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

fn dispatch(cli: Cli, console: Console) -> Result<Exit, Failure> {
    let Some(command) = cli.command else {
        return interface::run(open(&cli.global, console)?, cli.files, cli.model);
    };
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "nfold", &mut script);
            Console::out(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|error| Failure::general(&error))?;
            Console::out(&String::from_utf8_lossy(&page))?;
            Ok(Exit::Done)
        }
        Command::Config { command } => config::run(&command, &locate(&cli.global)?, console),
        other => {
            let session = open(&cli.global, console)?;
            dispatch_session(other, &session)
        }
    }
}

fn dispatch_session(command: Command, session: &Session) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(session, args.file.as_deref(), args.tasks.clone(), &args.options),
        Command::Summarize(args) => {
            run::run(session, args.file.as_deref(), args.shape.tasks(Some("summarize")), &args.options)
        }
        Command::Reply(args) => run::run(session, args.file.as_deref(), args.shape.tasks(Some("reply")), &args.options),
        Command::Translate(args) => run::run(session, args.file.as_deref(), args.tasks(), &args.options),
        Command::Rewrite(args) => run::run(session, args.file.as_deref(), args.tasks(), &args.options),
        Command::Models { command } => models::run(session, command),
        Command::Adapters { command } => adapters::run(session, command),
        #[cfg(feature = "train")]
        Command::Train { command } => train::run(session, &command),
        Command::Eval(args) => eval::run(session, &args),
        Command::Engine(args) => Ok(interface::serve(session, args)),
        Command::Tasks { json } => tasks::run(session, json),
        Command::Doctor => doctor::run(session),
        Command::Completions { .. } | Command::Man | Command::Config { .. } => Ok(Exit::Done),
    }
}

/// Folders, and the configuration file with whether the user named it.
fn locate(global: &Global) -> Result<(Paths, PathBuf, bool), Failure> {
    let paths = Paths::from_environment().ok_or_else(|| {
        Failure::new(Exit::Failed, "there is no home folder; set NFOLD_HOME to the folder that nfold may use")
    })?;
    let (file, named) = match &global.config {
        Some(file) => (file.clone(), true),
        None => (paths.config_file.clone(), false),
    };
    Ok((paths, file, named))
}

fn open(global: &Global, console: Console) -> Result<Session, Failure> {
    let (paths, file, named) = locate(global)?;
    let config = Config::load(&file, named).map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Session { config, config_file: (file, named), paths, console })
}
