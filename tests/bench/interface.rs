//! The interface in a terminal: how soon it is there, how soon keys show, what it costs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::processes::nfold;
use crate::pty::{CommandBuilder, Pty};
use crate::{alone, row};

const ROUNDS: usize = 5;

/// More for what is compared: two processes in turn feel a machine's drift more than one does.
const PAIRS: usize = 15;

/// What the interface and `nfold run` are both told.
const TOKENS: &str = "160";
const THREADS: &str = "2";

/// Keys of which the slowest of a hundred is told; with six methods, `m` ends where it began.
const KEYS: usize = 102;

fn start(home: &Path, file: &Path) -> (Pty, Instant) {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_nfold"));
    command.arg(file);
    command.cwd(env!("CARGO_MANIFEST_DIR"));
    command.env("NFOLD_CONFIG", home.join("config.toml"));
    // History goes to a folder of its own; model and adapters are the user's.
    command.env("XDG_STATE_HOME", home);
    let started = Instant::now();
    (Pty::start((120, 40), command), started)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Processor time of a process so far.
fn busy(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// What a process has in memory, in megabytes: all of it, and without the pages of its program file.
fn memory(process: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e3
    };
    (field("VmRSS"), field("RssAnon"))
}

/// Presses `m` and waits until the next method stands in the frame's title.
fn key_to_frame(pty: &mut Pty) -> Duration {
    let title = |screen: &vt100::Screen| {
        let contents = screen.contents();
        let at = contents.find("Method: ").unwrap();
        contents[at..].split_whitespace().nth(1).unwrap().to_owned()
    };
    let before = title(pty.screen());
    let pressed = Instant::now();
    pty.send("m");
    pty.wait_until("next method", |screen| title(screen) != before);
    pty.changed() - pressed
}

fn slowest_of_a_hundred(mut times: Vec<Duration>) -> f64 {
    times.sort();
    millis(times[times.len() * 99 / 100])
}

/// One figure a round for each thing that is measured.
#[derive(Default)]
struct Figures {
    first: Vec<f64>,
    opened: Vec<f64>,
    scrolled: Vec<f64>,
    running: Vec<f64>,
    cost: Vec<f64>,
    idle: Vec<f64>,
    memory: Vec<f64>,
    own_memory: Vec<f64>,
}

impl Figures {
    /// From exec to a document of ten megabytes, and through it.
    fn large(&mut self, home: &Path, file: &Path) {
        let (mut pty, started) = start(home, file);
        pty.wait_for("Documents");
        self.first.push(millis(started.elapsed()));
        pty.wait_for("large.txt ·");
        self.opened.push(millis(started.elapsed()));
        pty.wait_for("of context)");
        pty.send("\t");
        let pages = (0..KEYS).map(|_| {
            let before = pty.contents();
            let pressed = Instant::now();
            pty.send("\x1b[6~");
            pty.wait_until("next page", |screen| screen.contents() != before);
            pty.changed() - pressed
        });
        self.scrolled.push(slowest_of_a_hundred(pages.collect()));
    }

    /// Idle, under keys while a run decodes, and in a run that is left alone.
    fn runs(&mut self, home: &Path, document: &Path) {
        let (mut pty, _) = start(home, document);
        pty.wait_for("ready");
        pty.wait_nothing(Duration::from_millis(300)); // What was still to be drawn.
        let before = busy(pty.process());
        // Nothing happens for a second: there is nothing to wait for but time.
        pty.wait_nothing(Duration::from_secs(1));
        self.idle.push(millis(busy(pty.process()).saturating_sub(before)));
        let (all, own) = memory(pty.process());
        self.memory.push(all);
        self.own_memory.push(own);
        pty.send("\r");
        pty.wait_for("tokens · ");
        let keys = (0..KEYS).map(|_| key_to_frame(&mut pty));
        self.running.push(slowest_of_a_hundred(keys.collect()));
        pty.wait_for("1 pass · ");
        let (before, began) = (busy(pty.process()), Instant::now());
        decoded(&mut pty);
        let took = busy(pty.process()).saturating_sub(before);
        self.cost.push(took.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0);
    }
}

/// Runs once and returns tokens a second as the answer's last line tells them.
fn decoded(pty: &mut Pty) -> f64 {
    pty.send("\r");
    pty.wait_for("running");
    let done = pty.wait_for("1 pass · ");
    let footer = done.lines().find(|line| line.contains("1 pass · ")).unwrap();
    let speed = footer.split(" · ").find(|part| part.contains("tok/s")).unwrap();
    speed.split_whitespace().next().unwrap().parse().unwrap()
}

/// Tokens a second of the same run in the interface, whose worker is kept, and by `nfold run` right before and right after it.
fn decode(home: &Path, document: &Path) -> (Vec<f64>, Vec<f64>) {
    let (mut pty, _) = start(home, document);
    pty.wait_for("ready");
    let alone = || {
        let arguments = ["summarize", &document.to_string_lossy(), "--json", "-n", TOKENS, "--threads", THREADS];
        nfold(&arguments).number("timing", "decode_tps")
    };
    let mut before = alone();
    let pairs = (0..PAIRS).map(|_| {
        let inside = decoded(&mut pty);
        let after = alone();
        let beside = f64::midpoint(before, after);
        before = after;
        (inside, beside)
    });
    pairs.unzip()
}

/// All of it, on a document and on one of ten megabytes.
pub(crate) fn measure(document: &Path) {
    let home = tempfile::tempdir().unwrap();
    let config = format!("max_tokens = {TOKENS}\nthreads = {THREADS}\n[interface]\nhistory = false\n");
    fs::write(home.path().join("config.toml"), config).unwrap();
    let large = home.path().join("large.txt");
    let line = |number| {
        format!("Line {number} of a document that is long enough to be wrapped once in a while, and then some.\n")
    };
    fs::write(&large, (0..116_000).map(line).collect::<String>()).unwrap();
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.large(home.path(), &large);
        figures.runs(home.path(), document);
    }
    let (inside, beside) = decode(home.path(), document);
    alone("interface: exec to first frame", "ms", &figures.first);
    alone("interface: exec to a document of 10 MB shown", "ms", &figures.opened);
    alone("interface: page down in 10 MB to frame, 99th", "ms", &figures.scrolled);
    alone("interface: key to frame while decoding, 99th", "ms", &figures.running);
    row("interface: decode (nfold run)", "tok/s", &inside, &beside);
    alone("interface: processor time while decoding, of a core", "%", &figures.cost);
    alone("interface: processor time in an idle second", "ms", &figures.idle);
    alone("interface: memory, the program's own pages too", "MB", &figures.memory);
    alone("interface: memory, without them", "MB", &figures.own_memory);
}
