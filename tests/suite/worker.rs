//! The engine's process, and the script that stands in for it in tests of the interface: one contract for both.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use nfold::config::Config;
use nfold::engine::Stop;
use nfold::plan::Ask;
use nfold::strategy::Method;
use nfold::worker::{Command, Event, JobId, Kind, Progress, frame};

use crate::support::World;
use crate::support::cli::nfold;
use crate::support::script::Script;

/// Something that is told commands and tells events.
trait Talks {
    fn tell(&mut self, command: Command);
    fn hear(&mut self) -> Event;
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Process {
    fn start(world: &World) -> Self {
        let mut command = nfold(world, "engine --offline").command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output }
    }
}

impl Talks for Process {
    fn tell(&mut self, command: Command) {
        frame::write(&mut self.input, &command).unwrap();
    }

    fn hear(&mut self) -> Event {
        frame::read(&mut self.output).unwrap().expect("the engine ended")
    }
}

struct Scripted(Script, VecDeque<Event>);

impl Talks for Scripted {
    fn tell(&mut self, command: Command) {
        self.1.extend(self.0.answer(command));
    }

    fn hear(&mut self) -> Event {
        self.1.pop_front().expect("nothing more is told")
    }
}

fn ask(model: &str, tasks: &[&str], method: Method) -> Ask {
    let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
    Ask { tasks, method, max_tokens: Some(8), ..Ask::of(&Config::example().unwrap(), Some(model)) }
}

/// Hears a job out; what is told of loading belongs to no job.
fn job(talks: &mut dyn Talks) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = talks.hear();
        let last = matches!(
            event,
            Event::Finished { .. } | Event::Failed { .. } | Event::Counted { .. } | Event::Pulled { .. }
        );
        if !matches!(event, Event::Loading(_)) {
            events.push(event);
        }
        if last {
            return events;
        }
    }
}

fn obeys_the_contract(talks: &mut dyn Talks, model: &str) {
    talks.tell(Command::Document("hello there".to_owned()));
    let one = ask(model, &["summarize"], Method::Prompt);
    talks.tell(Command::Measure { job: JobId(1), ask: one.clone() });
    match job(talks).as_slice() {
        [Event::Planned { job: JobId(1), summary }, Event::Counted { job: JobId(1), tokens, limit }] => {
            assert_eq!((summary.passes, summary.combination.as_str()), (1, "summarize"));
            assert!(*tokens > 0 && tokens < limit);
        }
        other => panic!("{other:?}"),
    }
    // A run tells what it will do, composes, and ends once.
    talks.tell(Command::Run { job: JobId(2), ask: one.clone() });
    let events = job(talks);
    assert!(matches!(events[0], Event::Planned { job: JobId(2), .. }));
    let steps: Vec<&Progress> = events
        .iter()
        .filter_map(|event| if let Event::Progress { job: JobId(2), progress } = event { Some(progress) } else { None })
        .collect();
    assert_eq!(steps.len() + 2, events.len());
    assert!(matches!(steps[..2], [Progress::Composing, Progress::Pass { index: 0, of: 1, .. }]));
    let prefill: Vec<(usize, usize)> = steps
        .iter()
        .filter_map(|step| if let Progress::Prefill { done, total } = step { Some((*done, *total)) } else { None })
        .collect();
    assert!(prefill.is_sorted() && prefill.last().is_some_and(|(done, total)| done == total));
    let tokens = steps.iter().filter(|step| matches!(step, Progress::Token { answer: true, .. })).count();
    match events.last() {
        Some(Event::Finished { job: JobId(2), stop, figures }) => {
            assert_ne!(*stop, Stop::Cancelled);
            assert!(figures.output >= tokens.min(8) - 1 && figures.passes == 1);
        }
        other => panic!("{other:?}"),
    }
    // Cancelled before it begins, a run ends as cancelled; the next one is clean.
    talks.tell(Command::Cancel(JobId(3)));
    talks.tell(Command::Run { job: JobId(3), ask: one.clone() });
    let cancelled = job(talks).pop();
    assert!(matches!(cancelled, Some(Event::Finished { job: JobId(3), stop: Stop::Cancelled, .. })), "{cancelled:?}");
    talks.tell(Command::Run { job: JobId(4), ask: one });
    assert!(matches!(job(talks).pop(), Some(Event::Finished { job: JobId(4), stop, .. }) if stop != Stop::Cancelled));
    // One pass for each task: only the last one's text is the answer.
    talks.tell(Command::Run { job: JobId(5), ask: ask(model, &["summarize", "translate:es"], Method::MultiStep) });
    let events = job(talks);
    let penalties = match &events[0] {
        Event::Planned { summary, .. } => summary.penalties.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(penalties, [1.1, 1.05], "the language has its own");
    let passes = events
        .iter()
        .filter(|event| matches!(event, Event::Progress { progress: Progress::Pass { of: 2, .. }, .. }))
        .count();
    let first = events.iter().find_map(|event| {
        if let Event::Progress { progress: Progress::Token { answer, .. }, .. } = event { Some(*answer) } else { None }
    });
    assert_eq!((passes, first), (2, Some(false)), "{events:?}");
}

fn world() -> World {
    let world = World::new();
    for (name, seed) in [("summarize", 1), ("translate-es", 2)] {
        let adapter = crate::support::tiny::adapter(seed, 2, 4.0);
        world.write_adapter(&format!("adapters/tiny/{name}.gguf"), &adapter);
    }
    world
}

#[test]
fn the_process_obeys_the_contract() {
    let world = world();
    obeys_the_contract(&mut Process::start(&world), world.model().to_str().unwrap());
}

#[test]
fn the_script_obeys_the_contract() {
    obeys_the_contract(&mut Scripted(Script::new("One two three."), VecDeque::default()), "tiny");
}

#[test]
fn a_missing_model_is_a_problem_of_its_own_and_others_have_words() {
    let world = world();
    let mut process = Process::start(&world);
    process.tell(Command::Measure { job: JobId(1), ask: ask("smollm2-135m", &["summarize"], Method::Auto) });
    match process.hear() {
        Event::Failed { job: JobId(1), problem } => assert_eq!(problem.kind, Kind::NoModel),
        other => panic!("{other:?}"),
    }
    process.tell(Command::Pull { job: JobId(2), model: "smollm2-135m".to_owned() });
    match process.hear() {
        Event::Failed { job: JobId(2), problem } => {
            assert!(problem.message.contains("HF_HUB_OFFLINE") || problem.message.contains("without downloads"));
        }
        other => panic!("{other:?}"),
    }
    let model = world.model();
    process.tell(Command::Document("word ".repeat(500)));
    process.tell(Command::Run { job: JobId(3), ask: ask(model.to_str().unwrap(), &["summarize"], Method::Auto) });
    match job(&mut process).pop() {
        Some(Event::Failed { job: JobId(3), problem }) => assert_eq!(problem.kind, Kind::Overflow),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_document_is_counted_by_its_head() {
    let world = world();
    let mut process = Process::start(&world);
    let model = world.model();
    process.tell(Command::Document("é".repeat(1_000_000)));
    process.tell(Command::Measure { job: JobId(1), ask: ask(model.to_str().unwrap(), &["summarize"], Method::Auto) });
    match job(&mut process).pop() {
        // The tiny model has a token for each byte.
        Some(Event::Counted { tokens, limit: 256, .. }) => {
            assert!((1_990_000..2_100_000).contains(&tokens), "{tokens}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_last_of_many_measurements_is_made() {
    let world = world();
    let mut process = Process::start(&world);
    let model = world.model().to_str().unwrap().to_owned();
    for id in 1..=50 {
        process.tell(Command::Measure { job: JobId(id), ask: ask(&model, &["summarize"], Method::Auto) });
    }
    let (mut counted, mut last) = (0, JobId(0));
    while last != JobId(50) {
        if let Event::Counted { job, .. } = process.hear() {
            counted += 1;
            last = job;
        }
    }
    assert!(counted < 50, "{counted}");
}

#[test]
fn the_process_ends_with_its_commands_even_in_the_middle_of_a_run() {
    let world = world();
    let mut process = Process::start(&world);
    let model = world.model();
    let long = Ask { max_tokens: Some(200), ..ask(model.to_str().unwrap(), &["summarize"], Method::Prompt) };
    process.tell(Command::Document("hello".to_owned()));
    process.tell(Command::Run { job: JobId(1), ask: long });
    process.hear();
    drop(process.input);
    let mut rest = Vec::new();
    process.output.read_to_end(&mut rest).unwrap();
    assert!(process.child.wait().unwrap().success());
}

#[test]
fn a_frame_that_lies_about_its_length_is_refused() {
    let mut lies: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'{'];
    assert!(frame::read::<Command>(&mut lies).is_err());
    let world = world();
    let mut process = Process::start(&world);
    process.input.write_all(&[0xff, 0xff, 0xff, 0xff, b'{']).unwrap();
    assert!(process.child.wait().unwrap().success());
}
