//! What only a real terminal shows: taking it, giving it back, signals, a crash of the engine.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nfold::tui::screen::Screen;

use crate::support::pty::{CommandBuilder, Pty};
use crate::support::{World, data, smollm2, tiny};

const TEXT: &str = "a good text";

fn world() -> World {
    let world = World::new();
    world.write("notes.txt", TEXT);
    world.write_adapter("adapters/tiny/summarize.gguf", &tiny::adapter(1, 2, 4.0));
    world
}

/// A program in an empty home.
fn start(world: &World, program: &str, arguments: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(program);
    command.args(arguments);
    command.cwd(world.folder());
    command.env_clear();
    command.env("HOME", world.path("home"));
    command.env("NFOLD_HOME", world.path("home"));
    command.env("NFOLD_ADAPTERS", world.path("adapters"));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("EDITOR", "sed -i s/good/better/");
    Pty::start((100, 30), command)
}

/// nfold itself, with the tiny model.
fn nfold(world: &World, arguments: &[&str]) -> Pty {
    let model = world.model();
    let arguments: Vec<&str> = ["-m", model.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
    start(world, env!("CARGO_BIN_EXE_nfold"), &arguments)
}

fn ready(world: &World) -> Pty {
    let mut pty = nfold(world, &["notes.txt"]);
    pty.wait_for("a good text");
    pty.wait_for("ready");
    pty
}

fn signal(process: u32, signal: &str) {
    let line = format!("kill {signal} {process}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

/// The process that a process started.
fn child_of(process: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

fn ends(pty: Pty, code: u32) {
    let (found, pty) = pty.exit();
    assert_eq!(found, code, "{}", pty.contents());
    assert!(pty.is_given_back(), "{}", pty.contents());
}

#[test]
fn it_starts_runs_and_leaves_the_terminal_as_it_was() {
    let world = world();
    let mut pty = ready(&world);
    pty.send("\r");
    pty.wait_for("1 pass ·");
    assert!(pty.screen().alternate_screen());
    // There is no display and no tmux here: the terminal is asked.
    pty.send("y");
    pty.wait_for("copied through the terminal");
    pty.send("q");
    ends(pty, 0);
    let history = fs::read_to_string(world.path("home/data/history.jsonl")).unwrap();
    assert!(history.contains("a good text"), "{history}");
}

#[test]
fn a_run_is_cancelled_and_a_window_resized() {
    let world = world();
    let mut pty = ready(&world);
    pty.send("\r\x1b");
    pty.wait_until("end of the run", |screen| {
        screen.contents().contains("stopped") || screen.contents().contains("1 pass ·")
    });
    pty.resize((70, 22));
    pty.wait_until("narrow frame", |screen| {
        screen.contents().lines().any(|line| line.ends_with('┐') && line.chars().count() == 70)
    });
    pty.resize((50, 10));
    pty.wait_for("60 × 20");
    pty.send("\x03");
    ends(pty, 0);
}

#[test]
fn a_paste_is_one_document_and_no_keys() {
    let world = world();
    let mut pty = ready(&world);
    pty.send("\x1b[200~quit\nqqq\x1b[201~");
    pty.wait_for("pasted 1 · 2 words");
    pty.send("q");
    ends(pty, 0);
}

#[test]
fn what_is_piped_in_is_a_document_and_keys_come_from_the_terminal() {
    let world = world();
    let line = format!("printf 'from a pipe' | {} -m {}", env!("CARGO_BIN_EXE_nfold"), world.model().display());
    let mut pty = start(&world, "sh", &["-c", &line]);
    pty.wait_for("standard input · 3 words");
    pty.send("q");
    ends(pty, 0);
}

#[test]
fn it_stops_for_the_shell_and_goes_on() {
    let world = world();
    // A shell with job control, as users have.
    let line = format!(
        "{} -m {} notes.txt; echo left with $?; read key; fg; echo back with $?",
        env!("CARGO_BIN_EXE_nfold"),
        world.model().display()
    );
    let mut pty = start(&world, "bash", &["--norc", "-m", "-c", &line]);
    pty.wait_for("ready");
    pty.send("\x1a");
    pty.wait_for("left with 14"); // 128 and the number of a stop signal.
    assert!(pty.is_given_back());
    pty.send("\r");
    pty.wait_for("a good text");
    pty.send("q");
    let (_, pty) = pty.exit();
    assert!(pty.contents().contains("back with 0"), "{}", pty.contents());
    assert!(pty.is_given_back());
}

#[test]
fn the_document_is_edited_in_the_users_editor() {
    let world = world();
    let mut pty = ready(&world);
    pty.send("E");
    pty.wait_for("a better text");
    pty.send("q");
    ends(pty, 0);
    assert_eq!(fs::read_to_string(world.path("notes.txt")).unwrap(), TEXT);
}

#[test]
fn a_killed_engine_costs_nothing() {
    let world = world();
    let mut pty = ready(&world);
    signal(child_of(pty.process()), "-KILL");
    pty.wait_for("signal 9");
    pty.wait_for("ready");
    assert!(pty.contents().contains("a good text"));
    pty.send("\r");
    pty.wait_for("1 pass ·");
    signal(child_of(pty.process()), "-ABRT");
    pty.wait_for("signal 6");
    pty.wait_for("ready");
    pty.send("q");
    ends(pty, 0);
}

#[test]
fn an_engine_killed_in_the_middle_of_an_answer_leaves_what_came() {
    let world = world();
    let text = fs::read_to_string(data("sample.txt")).unwrap();
    world.write("sample.txt", text);
    let model = smollm2();
    let mut pty = start(&world, env!("CARGO_BIN_EXE_nfold"), &["-m", model.to_str().unwrap(), "sample.txt"]);
    pty.wait_for("ready");
    pty.send("\r");
    pty.wait_for("tokens · ");
    signal(child_of(pty.process()), "-KILL");
    let screen = pty.wait_for("signal 9");
    let answer = screen.lines().skip_while(|line| !line.contains("summarize · adapter")).nth(1).unwrap();
    let said = answer.rsplit("││").next().unwrap().trim_end_matches('│').trim();
    assert!(screen.contains("failed") && !said.is_empty(), "{screen}");
    pty.wait_for("ready");
    pty.send("\r");
    pty.wait_for("reading");
    pty.send("\x1b");
    pty.wait_for("stopped");
    pty.send("q");
    ends(pty, 0);
}

#[test]
fn nothing_is_drawn_as_long_as_nothing_happens() {
    let world = world();
    let mut pty = ready(&world);
    pty.wait_nothing(Duration::from_millis(300)); // What was still to be drawn.
    let before = pty.changed();
    pty.wait_nothing(Duration::from_secs(1));
    assert_eq!(pty.changed(), before);
}

#[test]
fn signals_give_the_terminal_back() {
    for (name, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        let world = world();
        let pty = ready(&world);
        let engine = child_of(pty.process());
        signal(pty.process(), name);
        ends(pty, code);
        let program = format!("/proc/{engine}/exe");
        let end = Instant::now() + Duration::from_secs(20);
        while fs::read_link(&program).is_ok() {
            assert!(Instant::now() < end, "the engine is left behind");
            std::thread::yield_now();
        }
    }
}

/// What the next test runs in a terminal.
#[test]
#[ignore = "takes the terminal, and panics"]
fn panics_on_its_screen() {
    let _screen = Screen::enter(true).unwrap();
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_read_there() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "suite::pty::panics_on_its_screen"]);
    let (code, pty) = Pty::start((80, 24), command).exit();
    assert_eq!(code, 101);
    assert!(pty.is_given_back());
    // Lines begin at the left again, on the screen that was there before.
    assert!(pty.contents().lines().any(|line| line == "on purpose"), "{}", pty.contents());
}

#[test]
fn mistakes_are_told_before_the_screen_is_taken() {
    let world = world();
    world.write("home/config.toml", "[keys]\nrun = [\"q\"]\n");
    let pty = nfold(&world, &["notes.txt"]);
    let (code, pty) = pty.exit();
    assert_eq!(code, 2);
    assert!(pty.contents().contains("`q` is both `run` and `quit`"), "{}", pty.contents());
    fs::remove_file(world.path("home/config.toml")).unwrap();
    let (code, pty) = nfold(&world, &["sumarize"]).exit();
    assert_eq!(code, 2);
    assert!(pty.contents().contains("did you mean `nfold summarize`"), "{}", pty.contents());
    let (code, pty) = nfold(&world, &["nowhere.txt"]).exit();
    assert_eq!(code, 3);
    assert!(pty.contents().contains("there is no file `nowhere.txt`"), "{}", pty.contents());
}

#[test]
fn a_theme_with_a_mistake_is_told_and_another_one_used() {
    let world = world();
    world.write("home/themes/mine.toml", "kind = \"dark\"\n[roles]\n");
    world.write("home/config.toml", "[interface]\ntheme = \"mine\"\n");
    let mut pty = nfold(&world, &["notes.txt"]);
    pty.wait_for("theme `mine`: the role Text is missing");
    pty.send("q");
    ends(pty, 0);
}

#[test]
fn without_a_terminal_it_says_so() {
    let world = world();
    let output = crate::support::cli::nfold(&world, "notes.txt").output();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`nfold run`"));
}
