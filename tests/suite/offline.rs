//! Nothing but `models pull` opens a socket.

use std::fs;

use crate::support::World;
use crate::support::cli::{nfold, repository};

/// A run under a tracer that sees every attempt to make a socket. Needs Linux; the test of the sources holds everywhere.
#[test]
#[cfg(target_os = "linux")]
fn a_run_makes_no_socket() {
    let world = World::new();
    world.write("doc.txt", "A document.");
    let run = nfold(&world, "run doc.txt -t summarize -m {model} -n 4").command();
    let mut traced = std::process::Command::new("strace");
    traced.args(["-f", "-qq", "-e", "trace=network", "-o"]).arg(world.path("trace")).arg(run.get_program());
    traced.args(run.get_args()).current_dir(world.folder()).env_clear();
    traced.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = traced.output().expect("`make test` installs strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = fs::read_to_string(world.path("trace")).unwrap();
    assert!(!calls.contains("socket("), "{calls}");
}

#[test]
fn only_pull_names_a_network_library() {
    let mut folders = vec![repository("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let networked = ["ureq::", "std::net", "TcpStream", "UdpSocket"].iter().any(|name| text.contains(name));
            assert!(!networked || path.ends_with("model/pull.rs"), "{} may not open sockets", path.display());
        }
    }
}
