//! The program in a terminal of its own: what is typed, what the screen shows, what is left of it at the end.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, MasterPty, PtySize, native_pty_system};

pub use portable_pty::CommandBuilder;

/// How long a screen or an end is waited for: much longer than it takes.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Pty {
    screen: vt100::Parser,
    /// When bytes came, and which.
    bytes: Receiver<(Instant, Vec<u8>)>,
    changed: Instant,
    input: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

fn size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn nonzero(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

impl Pty {
    /// Runs a program in a terminal of so many columns and rows.
    pub fn start(columns_and_rows: (u16, u16), mut command: CommandBuilder) -> Self {
        let pair = native_pty_system().openpty(size(columns_and_rows)).unwrap();
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (tell, bytes) = mpsc::channel();
        // A terminal that is not read from stops its program.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || tell.send((Instant::now(), buffer[..count].to_vec())).is_err() {
                    break;
                }
            }
        });
        let input = pair.master.take_writer().unwrap();
        let screen = vt100::Parser::new(nonzero(columns_and_rows.1), nonzero(columns_and_rows.0), 0);
        Self { screen, bytes, changed: Instant::now(), input, child, master: pair.master }
    }

    pub fn send(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    pub fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Waits until the screen fits, and gives it.
    pub fn wait_until(&mut self, what: &str, fits: impl Fn(&vt100::Screen) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        while !fits(self.screen.screen()) {
            match self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(came) => self.take(&came),
                Err(error) => panic!("no {what} ({error}); the screen shows\n{}", self.contents()),
            }
        }
        self.contents()
    }

    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contents().contains(text))
    }

    /// Takes in what comes in some time.
    pub fn wait_nothing(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(came) = self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.take(&came);
        }
    }

    fn take(&mut self, (at, bytes): &(Instant, Vec<u8>)) {
        self.changed = *at;
        self.screen.process(bytes);
    }

    /// When the bytes came that the screen shows last.
    pub fn changed(&self) -> Instant {
        self.changed
    }

    pub fn resize(&mut self, columns_and_rows: (u16, u16)) {
        self.screen.screen_mut().set_size(nonzero(columns_and_rows.1), nonzero(columns_and_rows.0));
        self.master.resize(size(columns_and_rows)).unwrap();
    }

    pub fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the end; the exit code, and the screen as it is left.
    pub fn exit(mut self) -> (u32, Self) {
        let end = Instant::now() + PATIENCE;
        while let Ok(came) = self.bytes.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.take(&came);
        }
        assert!(Instant::now() < end, "it does not end; the screen shows\n{}", self.contents());
        let status = self.child.wait().unwrap();
        (status.exit_code(), self)
    }

    /// Whether the terminal was given back.
    pub fn is_given_back(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}
