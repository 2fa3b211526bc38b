//! The arrows between modules, and the sizes of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::cli::repository;

/// What each module may use of the others. What is not listed is forbidden.
const MAY_USE: [(&str, &[&str]); 28] = [
    ("adapter", &["digest", "file", "gguf", "model"]),
    ("calibration", &["adapter", "digest", "file", "gguf", "merge"]),
    (
        "cli",
        &[
            "adapter",
            "calibration",
            "compose",
            "config",
            "data",
            "digest",
            "document",
            "engine",
            "eval",
            "file",
            "gguf",
            "library",
            "merge",
            "model",
            "paths",
            "plan",
            "run",
            "sanitize",
            "strategy",
            "suggest",
            "task",
            "train",
            "tui",
            "worker",
        ],
    ),
    ("compose", &["adapter", "calibration", "digest", "file", "merge", "model"]),
    ("config", &["digest", "engine", "strategy", "suggest", "task"]),
    ("data", &["task"]),
    ("digest", &["file"]),
    ("document", &[]),
    ("engine", &[]),
    (
        "eval",
        &[
            "adapter",
            "calibration",
            "compose",
            "config",
            "data",
            "digest",
            "engine",
            "library",
            "paths",
            "plan",
            "run",
            "strategy",
            "task",
        ],
    ),
    ("file", &[]),
    ("gguf", &[]),
    ("history", &["file", "run"]),
    ("lib", &[]),
    ("library", &["config"]),
    ("main", &["cli"]),
    ("merge", &["adapter"]),
    ("model", &["adapter", "config", "digest", "file", "gguf", "suggest"]),
    ("paths", &[]),
    (
        "plan",
        &[
            "calibration",
            "compose",
            "config",
            "digest",
            "engine",
            "library",
            "merge",
            "model",
            "paths",
            "strategy",
            "task",
        ],
    ),
    ("run", &["compose", "engine", "plan", "task"]),
    ("sanitize", &[]),
    ("strategy", &["merge"]),
    ("suggest", &[]),
    ("task", &["suggest"]),
    ("train", &["adapter", "calibration", "digest", "file", "gguf"]),
    (
        "tui",
        &[
            "config", "document", "engine", "eval", "file", "history", "library", "model", "paths", "plan", "run",
            "sanitize", "strategy", "suggest", "task", "worker",
        ],
    ),
    ("worker", &["compose", "config", "engine", "model", "paths", "plan", "run"]),
];

fn sources() -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![repository("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    assert!(files.len() > 40);
    files
}

/// The top module that a file belongs to.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(repository("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules named behind `crate::` outside comments, tests' own included.
fn uses(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = |line: &str| -> Vec<String> {
        let parts = line.split("crate::").skip(1);
        parts.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
    };
    code.flat_map(names).filter(|name: &String| !name.is_empty()).collect()
}

#[test]
fn arrows_point_down() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into();
    for file in sources() {
        let module = module(&file);
        let allowed =
            may_use.get(module.as_str()).unwrap_or_else(|| panic!("{}: a module without a row", file.display()));
        for used in uses(&fs::read_to_string(&file).unwrap()) {
            assert!(
                used == module || allowed.contains(&used.as_str()),
                "{}: {module} may not use {used}",
                file.display()
            );
        }
    }
}

#[test]
fn only_its_own_folder_names_llama_cpp() {
    for file in sources() {
        let named = fs::read_to_string(&file).unwrap().lines().any(|line| line.contains("llama_cpp_2::"));
        let inside = file.to_string_lossy().contains("src/engine/llama");
        assert!(!named || inside, "{} names llama_cpp_2", file.display());
    }
}

#[test]
fn nothing_below_the_front_ends_prints() {
    let front = |file: &PathBuf| ["cli", "tui"].contains(&module(file).as_str());
    for file in sources().into_iter().filter(|file| !front(file)) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("io::stdout") && !text.contains("io::stderr"), "{} prints", file.display());
    }
}

#[test]
fn only_themes_name_a_colour() {
    for file in sources().into_iter().filter(|file| !file.to_string_lossy().contains("src/tui/theme")) {
        assert!(!fs::read_to_string(&file).unwrap().contains("Color::"), "{} names a colour", file.display());
    }
}

#[test]
fn files_are_short_and_say_what_lives_in_them() {
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} has no first line", file.display());
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        let most = if file.ends_with("main.rs") { 60 } else { 450 };
        assert!(lines <= most, "{} has {lines} lines before its tests", file.display());
    }
}
