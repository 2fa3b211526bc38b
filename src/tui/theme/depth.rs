//! How many colours a terminal shows, and the nearest it has to one that it has not.

use ratatui::style::Color;

/// How many colours a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// None: `NO_COLOR`, or a terminal that knows no colours.
    None,
    /// The sixteen whose looks it decides itself.
    Ansi16,
    /// Those, a cube of 6 × 6 × 6 and 24 greys.
    Ansi256,
    /// All.
    True,
}

/// xterm's sixteen.
const SIXTEEN: [(Color, [u8; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [205, 0, 0]),
    (Color::Green, [0, 205, 0]),
    (Color::Yellow, [205, 205, 0]),
    (Color::Blue, [0, 0, 238]),
    (Color::Magenta, [205, 0, 205]),
    (Color::Cyan, [0, 205, 205]),
    (Color::Gray, [229, 229, 229]),
    (Color::DarkGray, [127, 127, 127]),
    (Color::LightRed, [255, 0, 0]),
    (Color::LightGreen, [0, 255, 0]),
    (Color::LightYellow, [255, 255, 0]),
    (Color::LightBlue, [92, 92, 255]),
    (Color::LightMagenta, [255, 0, 255]),
    (Color::LightCyan, [0, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// The steps of the cube.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

impl Depth {
    /// From what a terminal says of itself: `NO_COLOR`, `TERM`, `COLORTERM`.
    #[must_use]
    pub fn of(no_color: bool, term: &str, colorterm: &str) -> Self {
        match () {
            () if no_color || term == "dumb" => Self::None,
            () if matches!(colorterm, "truecolor" | "24bit") || term.ends_with("-direct") => Self::True,
            () if term.contains("256color") || term.contains("kitty") || term.contains("alacritty") => Self::Ansi256,
            () => Self::Ansi16,
        }
    }

    pub(super) fn nearest(self, color: Color) -> Color {
        match (self, color) {
            (Self::Ansi16, Color::Rgb(red, green, blue)) => sixteen([red, green, blue]),
            (Self::Ansi256, Color::Rgb(red, green, blue)) => cube([red, green, blue]),
            _ => color,
        }
    }
}

fn distance(one: [u8; 3], other: [u8; 3]) -> u32 {
    one.into_iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

fn sixteen(wanted: [u8; 3]) -> Color {
    let nearest = SIXTEEN.iter().min_by_key(|(_, looks)| distance(*looks, wanted));
    nearest.map_or(Color::Reset, |(color, _)| *color)
}

/// Of the cube and the greys, xterm's colours 16 to 255.
fn cube(wanted: [u8; 3]) -> Color {
    let colors = (0..216u8).map(|index| {
        let looks = [index / 36, index / 6 % 6, index % 6].map(|step| STEPS[usize::from(step)]);
        (16 + index, looks)
    });
    let greys = (0..24u8).map(|index| (232 + index, [8 + 10 * index; 3]));
    let nearest = colors.chain(greys).min_by_key(|(_, looks)| distance(*looks, wanted));
    nearest.map_or(Color::Reset, |(index, _)| Color::Indexed(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_tell_what_they_show() {
        assert_eq!(Depth::of(true, "xterm-256color", "truecolor"), Depth::None);
        assert_eq!(Depth::of(false, "dumb", ""), Depth::None);
        assert_eq!(Depth::of(false, "xterm-256color", "truecolor"), Depth::True);
        assert_eq!(Depth::of(false, "screen-256color", ""), Depth::Ansi256);
        assert_eq!(Depth::of(false, "linux", ""), Depth::Ansi16);
    }

    #[test]
    fn colours_move_to_the_nearest() {
        assert_eq!(Depth::Ansi256.nearest(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(Depth::Ansi256.nearest(Color::Rgb(30, 30, 30)), Color::Indexed(234));
        assert_eq!(Depth::Ansi16.nearest(Color::Rgb(250, 250, 250)), Color::White);
        assert_eq!(Depth::True.nearest(Color::Rgb(1, 2, 3)), Color::Rgb(1, 2, 3));
        assert_eq!(Depth::Ansi16.nearest(Color::Cyan), Color::Cyan);
    }
}
