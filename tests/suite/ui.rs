//! The interface: flows from keys to screens and effects, and snapshots of what it looks like.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use nfold::config::Config;
use nfold::document::Text;
use nfold::engine::Stop;
use nfold::history::Entry;
use nfold::tui::theme::{Depth, Theme, names};
use nfold::tui::{Effect, Event, Listed, Model};
use nfold::worker::{self, Died, JobId, Kind, Problem, Progress};

use crate::support::script::Script;
use crate::support::ui::Ui;

const TEXT: &str = "Ana: The harbour office wants the plan by noon.\nBen: Which plan? The one with two cranes?\nAna: With three. And the price of the third.\n";

fn ui() -> Ui {
    Ui::on(TEXT)
}

// What it looks like.

#[test]
fn the_main_screen_at_three_sizes() {
    assert_snapshot!("main-80x24", ui().screen());
    assert_snapshot!("main-120x40", ui().sized(120, 40).screen());
    assert_snapshot!("main-60x20", ui().sized(60, 20).screen());
    assert_snapshot!("welcome", Ui::new(80, 24, Script::new("")).screen());
}

#[test]
fn a_window_that_is_too_small_says_what_is_needed() {
    let ui = ui().sized(40, 12);
    assert!(ui.text().contains("60 × 20"), "{}", ui.text());
    ui.sized(1, 1).text();
}

#[test]
fn popups() {
    assert_snapshot!("palette", ui().keys(":").screen());
    assert_snapshot!("help", ui().keys("?").screen());
    assert_snapshot!("options", ui().keys("3mmo<Down><Right>").screen());
    assert_snapshot!("methods", ui().keys("3c<Tab><Tab>").screen());
    assert_snapshot!("save", ui().keys("<Enter>w").screen());
    assert_snapshot!("edit", ui().keys("i<End> x").screen());
    let mut themes = ui();
    themes.keys("T").event(Event::Themes(names(Path::new("/nowhere"))));
    assert_snapshot!("themes", themes.screen());
    let mut models = ui();
    let model = |name: &str, here, size| Model { name: name.to_owned(), here, size };
    models
        .keys("M")
        .event(Event::Models(vec![model("smollm2-135m", true, Some(98_362_432)), model("other", false, None)]));
    assert_snapshot!("models", models.screen());
    let mut history = ui();
    history.keys("H").event(Event::History(vec![entry(120_000_000), entry(1)], 7_200_000_000));
    assert_snapshot!("history", history.screen());
    let mut files = ui();
    files.keys("f").event(Event::Listed("/home/me".into(), Ok(listing())));
    files.keys("<Down>").event(Event::Previewed("/home/me/a.txt".into(), "the head of a".to_owned()));
    assert_snapshot!("files", files.screen());
}

#[test]
fn answers() {
    assert_snapshot!("answer", ui().keys("3<Enter>").screen());
    let mut going_on = Ui::new(80, 24, Script::without_end("# One\n\n**two** three")).open("notes.txt", TEXT);
    assert_snapshot!("decoding", going_on.keys("3<Enter>").screen());
    assert_snapshot!("compared", compared().sized(120, 40).screen());
    assert_snapshot!("compared-60x20", compared().sized(60, 20).screen());
}

#[test]
fn every_theme_draws_the_same_in_its_own_colours() {
    for name in names(Path::new("/nowhere")) {
        let theme = Theme::load(&name, Path::new("/nowhere")).unwrap();
        assert_snapshot!(format!("theme-{name}"), compared().keys("d?").colors(&theme));
    }
    let theme = Theme::load("nfold-dark", Path::new("/nowhere")).unwrap();
    assert_snapshot!("theme-no-color", compared().colors(&theme.at(Depth::None)));
    assert_snapshot!("theme-256", compared().colors(&theme.at(Depth::Ansi256)));
    assert_snapshot!("theme-16", compared().colors(&theme.at(Depth::Ansi16)));
}

fn compared() -> Ui {
    let mut ui = Ui::new(100, 30, Script::new("One two three.")).open("reference.txt", "One two four.");
    ui.keys("R");
    let mut ui = ui.open("notes.txt", TEXT);
    ui.keys("3c<Tab><Down><Down><Tab>");
    ui.script.tokens = vec!["One two ".to_owned(), "five.".to_owned()];
    ui.keys("<Enter>");
    ui
}

fn listing() -> Vec<Listed> {
    let entry = |name: &str, folder, size| Listed { name: name.to_owned(), folder, size };
    vec![entry("letters", true, 0), entry("a.txt", false, 1200), entry("b.md", false, 2_500_000)]
}

fn entry(time: u64) -> Entry {
    let mut ui = ui();
    ui.keys("<Enter>");
    match ui.done().pop() {
        Some(Effect::Remember(entry)) => Entry { time, answer: format!("answer {time}"), ..*entry },
        other => panic!("{other:?}"),
    }
}

// Load.

#[test]
fn a_paste_becomes_a_document() {
    let mut ui = Ui::new(80, 24, Script::new("x"));
    ui.paste("first line\r\nsecond\u{1b}[31m line");
    assert!(ui.text().contains("pasted 1 · 4 words"), "{}", ui.text());
    assert!(ui.text().contains("second[31m line"), "{}", ui.text());
    ui.paste("another");
    assert!(ui.text().contains("pasted 2"));
    ui.paste("  \n ");
    assert!(!ui.text().contains("pasted 3"));
}

#[test]
fn files_are_listed_filtered_marked_and_opened() {
    let mut ui = ui();
    ui.keys("f");
    assert_eq!(ui.done(), [Effect::List { folder: "/home/me".into(), hidden: false }]);
    ui.event(Event::Listed("/home/me".into(), Ok(listing())));
    ui.keys("md");
    assert_eq!(ui.done(), [Effect::Preview("/home/me/b.md".into()), Effect::Preview("/home/me/b.md".into())]);
    ui.keys("<Bs><Bs><Down><Tab><Tab><Enter>");
    let opened = ui.done().pop();
    assert_eq!(opened, Some(Effect::Open(vec!["/home/me/a.txt".into(), "/home/me/b.md".into()])));
    ui.keys("f").event(Event::Listed("/home/me".into(), Ok(listing())));
    ui.done();
    ui.keys("<Enter>");
    assert_eq!(ui.done(), [Effect::List { folder: "/home/me/letters".into(), hidden: false }]);
    ui.keys("<Bs><C-t>");
    let above = Effect::List { folder: "/home/me".into(), hidden: false };
    assert_eq!(ui.done(), [above, Effect::List { folder: "/home/me".into(), hidden: true }]);
    ui.event(Event::Listed("/home/me".into(), Err("permission denied".to_owned())));
    assert!(ui.text().contains("permission denied"));
}

#[test]
fn what_cannot_be_opened_is_told_and_nothing_is_lost() {
    let mut ui = ui();
    ui.event(Event::Opened("x.pdf".into(), Err("`x.pdf` is a PDF, not text".to_owned())));
    assert!(ui.text().contains("is a PDF") && ui.text().contains("harbour"));
    let latin = Text { text: "niño".to_owned(), encoding: Some("windows-1252") };
    ui.event(Event::Opened("la\u{1b}tin.txt".into(), Ok(latin)));
    assert!(ui.text().contains("read as windows-1252"));
}

#[test]
fn documents_are_switched_edited_and_closed() {
    let mut ui = ui().open("second.txt", "another text");
    assert!(ui.text().contains("second.txt · 2 words"));
    ui.keys("[");
    assert!(ui.text().contains("notes.txt · 26 words"), "{}", ui.text());
    ui.keys("]i<End> more<Esc>");
    assert!(ui.text().contains("second.txt · 3 words"), "{}", ui.text());
    ui.keys("x");
    assert!(!ui.text().contains("second.txt"));
    ui.keys("ahello there<Esc>");
    assert!(ui.text().contains("text 1 · 2 words"), "{}", ui.text());
    // An empty new document is none.
    ui.keys("a<Esc>");
    assert!(!ui.text().contains("text 2"));
    ui.keys("E");
    let Some(Effect::Edit(id, text)) = ui.done().pop() else { panic!("no editor") };
    assert_eq!(text, "hello there");
    // A file that is opened meanwhile is another document.
    let mut ui = ui.open("other.txt", "something else");
    ui.event(Event::Edited(id, "hello you there".to_owned()));
    assert!(ui.text().contains("something else"));
    ui.keys("[");
    assert!(ui.text().contains("text 1 · 3 words"));
}

#[test]
fn a_long_document_is_left_to_the_users_editor() {
    let mut ui = Ui::on(&"word ".repeat(100_000));
    ui.keys("i");
    assert!(ui.text().contains("too long to be edited here; E"), "{}", ui.text());
}

// Pick.

#[test]
fn digits_turn_tasks_on_and_one_main_task_takes_anothers_place() {
    let mut ui = ui();
    assert!(ui.text().contains("1 ● summarize"));
    ui.keys("23");
    let text = ui.text();
    assert!(
        text.contains("1 ○ summarize") && text.contains("2 ● reply") && text.contains("3 ● translate:es"),
        "{text}"
    );
    // Another language takes the place of the one before.
    ui.keys("4");
    assert!(ui.text().contains("3 ○ translate:es") && ui.text().contains("4 ● translate:fr"), "{}", ui.text());
    assert!(ui.text().contains("calibrated, 1 pass"), "{}", ui.text());
    ui.keys("24");
    assert!(ui.text().contains("no task is on"), "{}", ui.text());
    ui.keys("<Enter>");
    assert!(ui.text().contains("digits turn tasks on"));
}

#[test]
fn what_does_not_combine_is_greyed_with_the_reason() {
    let config = "[tasks.shout]\nkind = \"shaping\"\ninstruction = \"Rewrite the text in capitals.\"\n";
    let config = Config::parse(config, Path::new("c.toml")).unwrap();
    let mut ui = Ui::with(&config, (100, 30), Script::new("x"));
    assert!(ui.text().contains("6 – shout"), "{}", ui.text());
    ui.keys("6");
    assert!(ui.text().contains("`shout` has no `phrase`"), "{}", ui.text());
    ui.keys("16");
    assert!(ui.text().contains("6 ● shout"), "{}", ui.text());
}

#[test]
fn any_language_can_be_added() {
    let mut ui = ui();
    ui.keys("Litalian<Enter>");
    assert!(ui.text().contains("● translate:it"), "{}", ui.text());
    ui.keys("Lxq<Enter>");
    assert!(ui.text().contains("is no language"), "{}", ui.text());
}

#[test]
fn method_weights_and_length_reach_the_engine() {
    let mut ui = ui();
    ui.keys("3mmm");
    assert!(ui.text().contains("Method: concat"), "{}", ui.text());
    ui.keys("o<Down><Right><Right><Down><Left><Down><Right><Esc>");
    let text = ui.text();
    assert!(text.contains("0.6 × summarize") && text.contains("0.45 × translate:es"), "{text}");
    assert!(text.contains("at most 288 tokens"), "{text}");
    ui.keys("or<Esc>");
    assert!(ui.text().contains("0.5 × summarize"), "{}", ui.text());
}

#[test]
fn a_tasks_own_penalty_is_shown_and_changed_from_there() {
    let mut ui = ui();
    assert!(ui.text().contains("repeat penalty 1.10"), "{}", ui.text());
    ui.keys("3");
    assert!(ui.text().contains("repeat penalty 1.05"), "{}", ui.text());
    ui.keys("o<Down><Down><Down><Down><Right><Esc>");
    assert!(ui.text().contains("repeat penalty 1.10"), "{}", ui.text());
}

// Run.

#[test]
fn a_run_streams_and_is_kept() {
    let mut ui = ui();
    ui.keys("3<Enter>");
    assert!(ui.text().contains("One two three."), "{}", ui.text());
    match ui.done().as_slice() {
        [Effect::Remember(entry)] => {
            assert_eq!(
                (entry.answer.as_str(), entry.combination.as_str()),
                ("One two three.", "summarize+translate:es")
            );
            assert_eq!((entry.document.as_str(), entry.text.as_deref()), ("notes.txt", Some(TEXT)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_kept_where_history_is_off() {
    let config = Config::parse("[interface]\nhistory = false\n", Path::new("c.toml")).unwrap();
    let mut ui = Ui::with(&config, (80, 24), Script::new("x")).open("a.txt", TEXT);
    ui.keys("<Enter>");
    assert!(ui.text().contains("1 pass"));
    assert_eq!(ui.done(), []);
}

#[test]
fn an_answer_in_two_passes_tells_the_penalty_of_each() {
    let config = Config::parse("method = \"multi-step\"\n", Path::new("c.toml")).unwrap();
    let mut ui = Ui::with(&config, (80, 24), Script::new("x")).open("a.txt", TEXT);
    ui.keys("3<Enter>");
    match ui.done().as_slice() {
        [Effect::Remember(entry)] => assert_eq!(entry.settings, "greedy, repeat penalty 1.10 then 1.05"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn esc_cancels_at_once_and_keeps_what_came() {
    let mut ui = Ui::new(80, 24, Script::without_end("One two three.")).open("a.txt", TEXT);
    ui.keys("<Enter>");
    assert!(ui.text().contains("3 tokens"), "{}", ui.text());
    ui.keys("<Enter>");
    assert!(ui.text().contains("a run is going on"));
    ui.keys("<Esc>");
    assert!(ui.text().contains("stopped · 3 tokens") && ui.text().contains("One two three."), "{}", ui.text());
    // What a run that was cancelled still tells changes nothing.
    ui.engine(worker::Event::Progress {
        job: JobId(3),
        progress: Progress::Token { text: "behind".to_owned(), answer: true },
    });
    assert!(!ui.text().contains("behind"));
    ui.script.end = Some(Ok(Stop::EndOfGeneration));
    ui.keys("<Enter>");
    assert!(ui.text().contains("1 pass"), "{}", ui.text());
}

#[test]
fn ctrl_c_ends_the_run_first_then_nfold() {
    let mut ui = Ui::new(80, 24, Script::without_end("One")).open("a.txt", TEXT);
    ui.keys("<Enter><C-c>");
    assert_eq!(ui.done(), []);
    assert!(ui.text().contains("stopped"));
    ui.keys("<C-c>");
    assert_eq!(ui.done(), [Effect::Quit]);
}

#[test]
fn without_a_document_nothing_runs() {
    let mut ui = Ui::new(80, 24, Script::new("x"));
    ui.keys("<Enter>");
    assert!(ui.text().contains("there is no document to work on"));
}

#[test]
fn a_failed_run_says_why() {
    let mut ui = ui();
    let problem =
        Problem { kind: Kind::Overflow, message: "the document takes 9000 tokens, the context holds 8192".to_owned() };
    ui.script.end = Some(Err(problem));
    ui.script.tokens.clear();
    ui.keys("<Enter>");
    assert!(ui.text().contains("takes 9000 tokens") && ui.text().contains("failed"), "{}", ui.text());
}

#[test]
fn escape_sequences_of_the_model_do_not_reach_the_terminal() {
    let mut ui = ui();
    ui.script.tokens = vec!["\u{1b}]0;title\u{7}".to_owned(), "\u{9b}31mred".to_owned()];
    ui.keys("<Enter>y");
    assert!(ui.text().contains("]0;title31mred"), "{}", ui.text());
    assert!(ui.done().contains(&Effect::Copy("]0;title31mred".to_owned())));
}

#[test]
fn a_dead_engine_costs_nothing_and_is_started_again() {
    let mut ui = Ui::new(80, 24, Script::without_end("One two three.")).open("a.txt", TEXT);
    ui.keys("<Enter>");
    let died = || Event::Died(Died { how: "signal 9 (killed, perhaps for memory)".to_owned(), said: None });
    ui.event(died());
    let text = ui.text();
    assert!(text.contains("One two three.") && text.contains("harbour") && text.contains("signal 9"), "{text}");
    assert_eq!(ui.done(), [Effect::Restart]);
    ui.script.end = Some(Ok(Stop::EndOfGeneration));
    ui.keys("<Enter>");
    assert!(ui.text().contains("1 pass"), "{}", ui.text());
    // An engine that dies each time is left alone until it is asked for.
    let mut dead = Ui::new(80, 24, Script::new("x")).open("a.txt", TEXT);
    dead.script.mute = true;
    for _ in 0..3 {
        dead.event(died());
    }
    assert_eq!(dead.done().len(), 2);
    assert!(dead.text().contains("the engine is down"));
    dead.keys("<Enter>");
    assert_eq!(dead.done(), [Effect::Restart]);
}

#[test]
fn a_missing_model_is_downloaded_by_a_key() {
    let mut script = Script::new("x");
    script.model = false;
    let mut ui = Ui::new(80, 24, script).open("a.txt", TEXT);
    assert_snapshot!("no-model", ui.screen());
    ui.keys("<Enter>");
    assert!(ui.text().contains("the model is here") && ui.text().contains("ready"), "{}", ui.text());
}

#[test]
fn what_cannot_be_planned_says_why() {
    let mut ui = ui();
    ui.script.problem = Some("there is no calibration for `summarize`".to_owned());
    ui.keys("mmmm");
    assert!(ui.text().contains("there is no calibration for `summarize`"), "{}", ui.text());
}

// Compare.

#[test]
fn methods_are_compared_side_by_side() {
    let mut ui = compared();
    let text = ui.text();
    assert!(text.contains("prompt") && text.contains("calibrated") && text.contains("ROUGE-L 66.7"), "{text}");
    assert_eq!(ui.done().iter().filter(|effect| matches!(effect, Effect::Remember(_))).count(), 2);
    ui.keys("c<Enter>");
    assert!(ui.text().contains("mark two to four"));
}

#[test]
fn a_comparison_keeps_to_its_document() {
    let mut ui = Ui::new(100, 30, Script::without_end("One")).open("a.txt", "first document");
    ui.keys("3c<Tab><Tab><Enter>");
    let mut ui = ui.open("b.txt", "second");
    ui.done();
    ui.script.end = Some(Ok(Stop::EndOfGeneration));
    ui.finish_run();
    let kept: Vec<Option<String>> = ui
        .done()
        .into_iter()
        .filter_map(|effect| if let Effect::Remember(entry) = effect { Some(entry.text) } else { None })
        .collect();
    assert_eq!(kept, [Some("first document".to_owned()), Some("first document".to_owned())]);
    assert_eq!(ui.script.ran_on, ["first document", "first document"]);
}

#[test]
fn cancelling_a_comparison_ends_what_waits_too() {
    let mut ui = Ui::new(100, 30, Script::without_end("One")).open("a.txt", TEXT);
    ui.keys("3c<Tab><Tab><Tab><Enter>");
    assert!(ui.text().contains("waits"));
    ui.keys("<Esc>");
    assert_eq!(ui.text().matches("stopped").count(), 3, "{}", ui.text());
}

// Keep.

#[test]
fn answers_are_copied_and_saved() {
    let mut ui = ui();
    ui.keys("y");
    assert!(ui.text().contains("no answer to copy"));
    ui.keys("3<Enter>");
    ui.done();
    ui.keys("y");
    assert_eq!(ui.done(), [Effect::Copy("One two three.".to_owned())]);
    ui.keys("w<Enter>");
    match ui.done().as_slice() {
        [Effect::Save { path, text, overwrite: false }] => {
            assert_eq!(path, Path::new("notes.summarize+translate-es.md"));
            assert_snapshot!("saved", text);
        }
        other => panic!("{other:?}"),
    }
    ui.event(Event::Exists(PathBuf::from("/home/me/there.txt"))).keys("<Enter>");
    match ui.done().as_slice() {
        [Effect::Save { text, overwrite: true, .. }] => assert_eq!(text, "One two three.\n"),
        other => panic!("{other:?}"),
    }
    ui.event(Event::Told(Err("cannot write `/home/me/there.txt`: the disk is full".to_owned())));
    assert!(ui.text().contains("the disk is full"));
}

#[test]
fn earlier_runs_are_found_brought_back_and_deleted() {
    let mut ui = ui();
    ui.keys("H");
    assert_eq!(ui.done(), [Effect::ReadHistory]);
    let other = Entry {
        document: "other.txt".to_owned(),
        text: Some("other text".to_owned()),
        combination: "reply+tone:witty".to_owned(),
        adapters: vec![("reply".to_owned(), 0.75), ("tone:witty".to_owned(), 0.25)],
        settings: "greedy, repeat penalty 1.10 then 1.05".to_owned(),
        ..entry(7)
    };
    ui.event(Event::History(vec![entry(8), other], 9));
    ui.keys("witty<Enter>");
    let text = ui.text();
    assert!(
        text.contains("answer 7") && text.contains("other.txt · 2 words") && text.contains("● tone:witty"),
        "{text}"
    );
    // Saved again, it says what it came from then, not what is chosen now.
    ui.keys("w<Enter>");
    match ui.done().last() {
        Some(Effect::Save { text, .. }) => {
            assert!(text.contains("settings: \"greedy, repeat penalty 1.10 then 1.05\""), "{text}");
            assert!(text.contains("\"tone:witty\": 0.25") && text.ends_with("answer 7\n"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    ui.keys("H").event(Event::History(vec![entry(8)], 9)).keys("<Del>");
    assert_eq!(ui.done()[1..], [Effect::Forget(8)]);
    ui.event(Event::History(Vec::new(), 9));
    assert!(ui.text().contains("no runs are kept yet"));
}

// Behave.

#[test]
fn themes_are_tried_and_taken_back() {
    let mut ui = ui();
    ui.keys("T");
    ui.event(Event::Themes(names(Path::new("/nowhere"))));
    ui.done();
    ui.keys("nord<Esc>");
    let done = ui.done();
    assert!(done.contains(&Effect::Theme("nord".to_owned())));
    assert_eq!(done.last(), Some(&Effect::Theme("nfold-dark".to_owned())));
}

#[test]
fn the_palette_does_what_its_row_says() {
    let mut ui = ui();
    ui.keys(":end nfold<Enter>");
    assert_eq!(ui.done(), [Effect::Quit]);
    ui.keys(":zzzz");
    assert!(ui.text().contains("nothing fits"));
    ui.keys("<Esc>q");
    assert_eq!(ui.done(), [Effect::Quit]);
}

#[test]
fn keys_can_be_rebound_and_help_tells() {
    let config = Config::parse("[keys]\nrun = [\"f5\"]\n", Path::new("c.toml")).unwrap();
    let mut ui = Ui::with(&config, (80, 24), Script::new("One.")).open("a.txt", TEXT);
    ui.keys("<Enter>");
    assert!(!ui.text().contains("1 pass ·"));
    ui.keys("<F5>");
    assert!(ui.text().contains("1 pass ·"), "{}", ui.text());
    assert!(ui.keys("?").text().contains("F5"));
}

#[test]
fn texts_are_searched() {
    let mut ui = Ui::on(&format!("{}needle here\n{}", "hay\n".repeat(200), "hay\n".repeat(200)));
    ui.keys("<Tab>/needle<Enter>");
    assert!(ui.text().contains("needle here"), "{}", ui.text());
    ui.keys("g");
    assert!(!ui.text().contains("needle here"));
    ui.keys("n");
    assert!(ui.text().contains("needle here"));
    ui.keys("/nothing<Enter>");
    assert!(ui.text().contains("`nothing` was not found"));
}

#[test]
fn wide_and_combined_characters_keep_their_columns() {
    let ui = Ui::on("日本語 👩‍🔬 e\u{301}\u{202e}x |\nabc");
    let text = ui.text();
    assert!(text.contains("日本語 👩‍🔬 e\u{301}x |"), "{text}");
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap().to_owned();
    assert_eq!(
        unicode_width::UnicodeWidthStr::width(line("日本語").as_str()),
        unicode_width::UnicodeWidthStr::width(line("abc").as_str())
    );
}

#[test]
fn the_mouse_clicks_and_scrolls_where_it_is_ours() {
    use crossterm::event::{Event as Terminal, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut ui = Ui::on(&"line\n".repeat(100));
    ui.keys("<F2>");
    assert_eq!(ui.done(), [Effect::Mouse(true)]);
    let at = |kind, column, row| {
        Event::Terminal(Terminal::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    let row = ui.text().lines().position(|line| line.contains("4 ○ translate:fr")).unwrap();
    ui.event(at(MouseEventKind::Down(MouseButton::Left), 5, u16::try_from(row).unwrap()));
    assert!(ui.text().contains("4 ● translate:fr"));
    ui.event(at(MouseEventKind::ScrollDown, 60, 5));
    assert!(ui.text().contains(" 3 % "), "{}", ui.text());
}

#[test]
fn a_document_of_megabytes_scrolls() {
    let mut ui =
        Ui::on(&"many words on a line that is long enough to be wrapped at least once or twice here\n".repeat(120_000));
    ui.keys("<Tab>G");
    assert!(ui.text().contains(" 100 % "), "{}", ui.text());
    ui.keys("kkg");
    assert!(ui.text().contains(" 0 % "));
}

const KEYS: &str = "<Enter> <Esc> <Tab> <S-Tab> <Up> <Down> <Left> <Right> <PageUp> <PageDown> <Home> <End> <Space> <Bs> <Del> <C-c> <C-u> <C-d> <F1> 1 2 3 9 a \
    c d f g G H i k L m M n N o q R T w x y [ ] / : ? é 日";

/// Nothing that is typed, however wrong, breaks anything.
#[test]
fn any_keys_at_any_size() {
    use proptest::prelude::*;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    let typed = prop::collection::vec(prop::sample::select(KEYS.split(' ').collect::<Vec<_>>()), 1..60);
    let strategy = (typed, 1u16..140, 1u16..50);
    runner
        .run(&strategy, |(typed, width, height)| {
            let mut ui = Ui::new(80, 24, Script::new("One two three.")).open("a.txt", TEXT);
            for (at, keys) in typed.iter().enumerate() {
                ui.keys(keys);
                if at == 20 {
                    ui = ui.sized(width, height);
                }
                ui.text();
            }
            Ok(())
        })
        .unwrap();
}
