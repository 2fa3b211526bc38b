//! The configuration: every example loads, every mistake is named with its line.

use std::fs;
use std::path::{Path, PathBuf};

use nfold::config::{Config, EXAMPLE};

use crate::support::cli::repository;

fn corpus(kind: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(repository("tests/configs").join(kind)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{kind}");
    files
}

#[test]
fn valid_files_load() {
    for file in corpus("valid") {
        Config::load(&file, true).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Each invalid file says in its first line what must be said of it.
#[test]
fn invalid_files_are_refused_with_line_and_reason() {
    for file in corpus("invalid") {
        let text = fs::read_to_string(&file).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# expect: ").unwrap().to_owned();
        let said = Config::load(&file, true).expect_err(&file.display().to_string()).to_string();
        assert!(said.contains(&expected), "{}\n  said:     {said}\n  expected: {expected}", file.display());
    }
}

/// Checks that two tables have the same keys, all the way down.
fn same(written: &toml::Table, example: &toml::Table, path: &str) {
    for key in written.keys() {
        assert!(example.contains_key(key), "`{path}{key}` is not in config.example.toml");
    }
    for (key, value) in example {
        let there = written.get(key).unwrap_or_else(|| panic!("nothing reads `{path}{key}`"));
        if let (toml::Value::Table(written), toml::Value::Table(example)) = (there, value) {
            same(written, example, &format!("{path}{key}."));
        }
    }
}

#[test]
fn the_example_is_the_default_and_holds_every_key() {
    let config = Config::example().unwrap();
    let written: toml::Table = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    let example: toml::Table = toml::from_str(EXAMPLE).unwrap();
    same(&written, &example, "");
}

#[test]
fn relative_paths_are_relative_to_the_file_that_names_them() {
    let text = "[adapters.m]\nsummarize = \"mine/s.gguf\"\nreply = \"/abs/r.gguf\"\n[models.m]\nfile = \"m.gguf\"";
    let config = Config::parse(text, Path::new("/etc/nfold/config.toml")).unwrap();
    assert_eq!(config.adapters["m"]["summarize"], Path::new("/etc/nfold/mine/s.gguf"));
    assert_eq!(config.adapters["m"]["reply"], Path::new("/abs/r.gguf"));
    assert_eq!(config.models["m"].file, Path::new("/etc/nfold/m.gguf"));
    assert!(config.adapters["smollm2-135m"].is_empty(), "what nfold comes with is found by its name");
}
