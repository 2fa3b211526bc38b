//! The terminal: taken at the start, given back at every end.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

type Drawing = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// ratatui's terminal, which believes that the screen is empty.
fn terminal() -> io::Result<Drawing> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout())))
}

/// Whether there is a terminal to draw on and one to read keys from.
pub(super) fn there_is_one() -> bool {
    io::stdout().is_terminal() && (io::stdin().is_terminal() || std::fs::File::open("/dev/tty").is_ok())
}

/// A terminal that is ours. Dropping it gives it back; so does a panic.
#[derive(Debug)]
pub struct Screen {
    terminal: Drawing,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal; `mouse` takes the mouse too.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            drop(give_back());
            usual(panic);
        }));
        let mut screen = Self { terminal: terminal()?, mouse };
        screen.take()?;
        Ok(screen)
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        if self.mouse { execute!(io::stdout(), EnableMouseCapture) } else { Ok(()) }
    }

    /// Gives the terminal to another program, or to the shell.
    #[expect(clippy::unused_self, reason = "only who has the terminal can give it away")]
    pub(super) fn leave(&mut self) -> io::Result<()> {
        give_back()
    }

    /// Takes it back; all of it is drawn anew.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        self.take()?;
        self.clear()
    }

    /// Forgets what is on the screen. ratatui's own way asks the terminal for its cursor, and the answer would come as keys.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = terminal()?;
        Ok(())
    }

    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    pub(super) fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(io::stdout(), EnableMouseCapture) } else { execute!(io::stdout(), DisableMouseCapture) }
    }

    /// Asks the terminal to put a text into its clipboard.
    #[expect(clippy::unused_self, reason = "only who has the terminal can ask it")]
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Draws a frame; terminals that can show it all at once.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(view)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(give_back());
    }
}

fn give_back() -> io::Result<()> {
    let mut out = io::stdout();
    let drawn = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    disable_raw_mode()?;
    drawn?;
    out.flush()
}
