//! `nfold doctor`: how this nfold was built, what it runs on, what it finds.

use std::fmt::Write as _;

use crate::engine::llama;
use crate::library::Library;
use crate::plan::resolve_base;

use super::Session;
use super::console::Console;
use super::exit::{Exit, Failure};

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    put("nfold", env!("CARGO_PKG_VERSION"));
    let native = llama::native().map_err(Failure::from)?;
    put("SIMD", &native.simd.join(" "));
    put("devices", &native.devices.join(", "));
    put("GPU", if native.gpu { "yes" } else { "none that this build can use" });
    put("threads", &format!("{} of {} processors", native.threads, native.processors));
    let file = &session.config_file.0;
    put("config", &format!("{}{}", file.display(), if file.exists() { "" } else { " (not there: defaults)" }));
    put("data", &session.paths.data.display().to_string());
    put("cache", &session.paths.cache.display().to_string());
    for folder in &session.paths.adapters {
        put("adapters", &format!("{}{}", folder.display(), if folder.is_dir() { "" } else { " (not there)" }));
    }
    let mut problem = None;
    match resolve_base(&session.config.model, &session.config, &session.paths) {
        Ok(base) => {
            put("model", &format!("{} ({}) at {}", base.name, base.header.architecture, base.header.path.display()));
            let library = Library { model: &base.name, config: &session.config, folders: &session.paths.adapters };
            let adapters = library.adapters(&session.config.catalogue().examples());
            let adapters = adapters.map_err(|error| Failure::new(Exit::Unfit, error))?;
            let names: Vec<&str> = adapters.keys().map(String::as_str).collect();
            put("tasks", &if names.is_empty() { "no adapters".to_owned() } else { names.join(" ") });
        }
        Err(error) => {
            put("model", &format!("{}: missing", session.config.model));
            problem = Some(Failure::from(error));
        }
    }
    Console::out(&text)?;
    if !native.has_simd() {
        Console::error(
            "THIS BUILD USES NO SIMD and runs several times slower than it could. Build nfold inside its repository, \
             whose .cargo/config.toml sets the right flags, or with RUSTFLAGS=\"-C target-cpu=x86-64-v3\".",
        );
    }
    problem.map_or(Ok(Exit::Done), Err)
}
