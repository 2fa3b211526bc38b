//! Downloading, against a server on loopback that misbehaves as servers do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc;

use nfold::digest::Digest;
use nfold::model::{Progress, PullError, Source, pull};

use crate::support::World;
use crate::support::pty::{CommandBuilder, Pty};

/// How the server answers one request.
#[derive(Clone, Copy)]
enum Answer {
    /// As it should: 206 from the asked byte, or 200 from the start.
    Well,
    /// Well, but the connection closes after so many bytes.
    Cut(usize),
    /// 200 with everything, whatever was asked.
    Everything,
    /// 206 from another byte than the asked one.
    WrongRange,
    /// 404.
    Missing,
}

fn content() -> Vec<u8> {
    (0..200_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// Serves the content, one answer a connection, and tells which byte each request asked from.
fn serve(answers: Vec<Answer>) -> (String, mpsc::Receiver<usize>) {
    serve_content(content(), answers)
}

fn serve_content(content: Vec<u8>, answers: Vec<Answer>) -> (String, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/model.gguf", listener.local_addr().unwrap());
    let (asked, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            asked.send(reply(stream, &content, answer)).unwrap();
        }
    });
    (address, receiver)
}

fn reply(mut stream: TcpStream, content: &[u8], answer: Answer) -> usize {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut start = 0;
    while let Some(Ok(line)) = lines.next() {
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let total = content.len();
    let (from, until) = match answer {
        Answer::Everything => (0, total),
        Answer::Cut(bytes) => (start, (start + bytes).min(total)),
        Answer::WrongRange => (start + 1, total),
        Answer::Well => (start, total),
        Answer::Missing => {
            drop(stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
            return start;
        }
    };
    let head = match start > 0 && !matches!(answer, Answer::Everything) {
        true => format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1),
        false => "HTTP/1.1 200 OK".to_owned(),
    };
    let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", total - from);
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content[from..until])));
    start
}

struct Case {
    world: World,
    source: Source,
    asked: mpsc::Receiver<usize>,
}

fn case(answers: Vec<Answer>) -> Case {
    let (url, asked) = serve(answers);
    let content = content();
    let source = Source { url, sha256: Some(Digest::of(&content)), size: Some(content.len() as u64) };
    Case { world: World::new(), source, asked }
}

impl Case {
    fn target(&self) -> PathBuf {
        self.world.path("models/model.gguf")
    }

    fn part(&self) -> PathBuf {
        self.world.path("models/model.gguf.part")
    }

    fn pull(&self) -> Result<(), PullError> {
        pull(&self.source, &self.target(), &mut |_| ControlFlow::Continue(()))
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.try_iter().collect()
    }
}

#[test]
fn a_good_download_arrives_whole() {
    let case = case(vec![Answer::Well]);
    let mut seen: Vec<Progress> = Vec::new();
    pull(&case.source, &case.target(), &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(fs::read(case.target()).unwrap(), content());
    assert!(!case.part().exists());
    assert!(seen.is_sorted_by_key(|progress| progress.done) && seen.len() > 3);
    assert_eq!(seen.last().unwrap().done, content().len() as u64);
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let case = case(vec![Answer::Cut(100_000), Answer::Cut(50_000), Answer::Well]);
    case.pull().unwrap();
    assert_eq!(fs::read(case.target()).unwrap(), content());
    assert_eq!(case.asked(), [0, 100_000, 150_000]);
}

#[test]
fn a_connection_that_gives_nothing_is_given_up_and_later_resumed() {
    let mut case = case(vec![Answer::Cut(100_000), Answer::Cut(0)]);
    let error = case.pull().unwrap_err();
    assert!(error.to_string().contains("run the command again"), "{error}");
    assert_eq!(fs::read(case.part()).unwrap(), &content()[..100_000]);
    assert!(!case.target().exists());
    let (url, asked) = serve(vec![Answer::Well]);
    case.source.url = url;
    case.pull().unwrap();
    assert_eq!(asked.recv().unwrap(), 100_000);
    assert_eq!(fs::read(case.target()).unwrap(), content());
}

#[test]
fn a_server_that_answers_a_range_with_everything_makes_it_start_over() {
    let case = case(vec![Answer::Everything]);
    case.world.write("models/model.gguf.part", b"the start of something else");
    case.pull().unwrap();
    assert_eq!(fs::read(case.target()).unwrap(), content());
}

#[test]
fn a_wrong_hash_is_an_error_and_leaves_nothing() {
    let mut case = case(vec![Answer::Well]);
    case.source.sha256 = Some(Digest::of(b"something else"));
    assert!(matches!(case.pull(), Err(PullError::Hash { .. })));
    assert!(!case.target().exists() && !case.part().exists());
}

#[test]
fn too_much_a_wrong_range_and_a_missing_file_are_errors() {
    let mut too_much = case(vec![Answer::Well]);
    too_much.source.size = Some(1000);
    assert!(matches!(too_much.pull(), Err(PullError::TooLarge { expected: 1000, .. })));
    let wrong = case(vec![Answer::WrongRange]);
    wrong.world.write("models/model.gguf.part", &content()[..10]);
    assert!(matches!(wrong.pull(), Err(PullError::Status { status: 206, .. })));
    let missing = case(vec![Answer::Missing]);
    assert!(matches!(missing.pull(), Err(PullError::Status { status: 404, .. })));
    assert!(!missing.part().exists(), "nothing arrived, so nothing is left");
    let nobody =
        Case { source: Source { url: "http://127.0.0.1:1/x".to_owned(), sha256: None, size: None }, ..case(vec![]) };
    assert!(matches!(nobody.pull(), Err(PullError::Unreachable { .. })));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_says_so() {
    let case = case(vec![Answer::Well]);
    fs::create_dir_all(case.world.path("models")).unwrap();
    std::os::unix::fs::symlink("/dev/full", case.part()).unwrap();
    let error = case.pull().unwrap_err();
    assert!(matches!(error, PullError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let case = case(vec![]);
    let part = case.world.write("models/model.gguf.part", b"");
    let held = fs::File::open(&part).unwrap();
    held.lock().unwrap();
    assert!(matches!(case.pull(), Err(PullError::Locked { .. })));
}

#[test]
fn cancelling_keeps_what_arrived() {
    let case = case(vec![Answer::Well]);
    let result = pull(&case.source, &case.target(), &mut |progress| match progress.done > 100_000 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    assert!(matches!(result, Err(PullError::Cancelled)));
    assert!(fs::metadata(case.part()).unwrap().len() > 100_000);
}

#[test]
fn the_interface_downloads_a_missing_model_by_a_key() {
    let world = World::new();
    let model = fs::read(world.model()).unwrap();
    let about = format!(
        "[models.remote]\nfile = \"remote.gguf\"\nrepo = \"some/where\"\nsha256 = \"{}\"\n",
        Digest::of(&model)
    );
    world.write("home/config.toml", about);
    world.write("notes.txt", "a text");
    let (address, asked) = serve_content(model, vec![Answer::Well]);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_nfold"));
    command.args(["-m", "remote", "notes.txt"]);
    command.cwd(world.folder());
    command.env_clear();
    command.env("NFOLD_HOME", world.path("home"));
    command.env("HF_ENDPOINT", address.trim_end_matches("/model.gguf"));
    let mut pty = Pty::start((100, 30), command);
    pty.wait_for("The model remote is not on this machine.");
    pty.send("\r");
    pty.wait_for("the model is here");
    pty.wait_for("ready");
    pty.send("\r");
    pty.wait_for("1 pass ·");
    assert_eq!(asked.try_iter().collect::<Vec<_>>(), [0]);
}
