//! Colours by role. The only place that names a colour.
//!
//! A theme file gives every role a style: `fg` and `bg` are `#rrggbb` or a name of the sixteen that terminals define
//! themselves, `bold`, `italic`, `underline`, `dim` and `reverse` are switches. `kind` says whether it is for dark or light
//! terminals.

mod depth;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Index;
use std::path::Path;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

pub use depth::Depth;

/// What a piece of the screen is, as far as its style goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Text, and the background of everything.
    Text,
    /// What matters less.
    Muted,
    /// Frames.
    Border,
    /// The frame of what has the focus.
    Focus,
    /// Headings and titles.
    Title,
    /// Keys in hints.
    Key,
    /// What is going on.
    Busy,
    /// What is on, or went well.
    Good,
    /// What wants attention.
    Warn,
    /// What went wrong.
    Error,
    /// The row under the cursor.
    Selected,
    /// What a search found.
    Match,
    /// What differs from the text beside it.
    Changed,
    /// Code in an answer.
    Code,
    /// Strong text in an answer.
    Strong,
    /// Emphasised text in an answer.
    Emphasis,
}

impl Role {
    /// Every role, in the order of the enum.
    pub const ALL: [Self; 16] = [
        Self::Text,
        Self::Muted,
        Self::Border,
        Self::Focus,
        Self::Title,
        Self::Key,
        Self::Busy,
        Self::Good,
        Self::Warn,
        Self::Error,
        Self::Selected,
        Self::Match,
        Self::Changed,
        Self::Code,
        Self::Strong,
        Self::Emphasis,
    ];

    /// How a role is told apart without colours.
    fn modifiers(self) -> Modifier {
        match self {
            Self::Text | Self::Border | Self::Good | Self::Busy => Modifier::empty(),
            Self::Muted => Modifier::DIM,
            Self::Focus | Self::Title | Self::Key | Self::Strong | Self::Warn => Modifier::BOLD,
            Self::Selected => Modifier::REVERSED,
            Self::Match => Modifier::REVERSED.union(Modifier::BOLD),
            Self::Changed | Self::Code => Modifier::UNDERLINED,
            Self::Error => Modifier::BOLD.union(Modifier::UNDERLINED),
            Self::Emphasis => Modifier::ITALIC,
        }
    }
}

/// Whether a theme is for dark or light terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

/// A style for every role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// What kind of terminal it is for.
    pub kind: Kind,
    styles: Vec<Style>,
}

impl Index<Role> for Theme {
    type Output = Style;

    fn index(&self, role: Role) -> &Style {
        &self.styles[role as usize]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Kind,
    roles: BTreeMap<Role, Look>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a file")]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    italic: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    reverse: bool,
}

/// Why a theme cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("theme `{name}`: {problem}")]
pub struct ThemeError {
    /// The theme.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The themes that nfold comes with.
const BUILT_IN: [(&str, &str); 11] = [
    ("nfold-dark", include_str!("../../themes/nfold-dark.toml")),
    ("nfold-light", include_str!("../../themes/nfold-light.toml")),
    ("catppuccin-mocha", include_str!("../../themes/catppuccin-mocha.toml")),
    ("catppuccin-latte", include_str!("../../themes/catppuccin-latte.toml")),
    ("gruvbox", include_str!("../../themes/gruvbox.toml")),
    ("nord", include_str!("../../themes/nord.toml")),
    ("solarized-dark", include_str!("../../themes/solarized-dark.toml")),
    ("solarized-light", include_str!("../../themes/solarized-light.toml")),
    ("dracula", include_str!("../../themes/dracula.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("ansi16", include_str!("../../themes/ansi16.toml")),
];

/// The names of all themes: those that nfold comes with, then those in the user's folder.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let toml = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let mut own: Vec<String> = toml.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    own.sort();
    own.retain(|name| !names.contains(name));
    names.extend(own);
    names
}

impl Theme {
    /// A theme by its name: the user's own, else one that nfold comes with.
    pub fn load(name: &str, folder: &Path) -> Result<Self, ThemeError> {
        let error = |problem: String| ThemeError { name: name.to_owned(), problem };
        if name.contains(['/', '\\']) {
            return Err(error("a theme is named, not given by path".to_owned()));
        }
        let own = folder.join(format!("{name}.toml"));
        if own.is_file() {
            let text = fs::read_to_string(&own).map_err(|problem| error(problem.to_string()))?;
            return Self::parse(&text).map_err(error);
        }
        match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            Some((_, text)) => Self::parse(text).map_err(error),
            None => Err(error(format!("there is none; there are {}", names(folder).join(", ")))),
        }
    }

    /// The theme for a kind of terminal, where none is asked for.
    #[must_use]
    pub fn usual(kind: Kind) -> &'static str {
        match kind {
            Kind::Dark => "nfold-dark",
            Kind::Light => "nfold-light",
        }
    }

    /// A theme without colours, for where nothing else can be read.
    #[must_use]
    pub fn plain() -> Self {
        Self::from_fn(Kind::Dark, |_| Style::new()).at(Depth::None)
    }

    /// A theme from a style for each role.
    pub fn from_fn(kind: Kind, style: impl FnMut(Role) -> Style) -> Self {
        Self { kind, styles: Role::ALL.into_iter().map(style).collect() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().replace('\n', " "))?;
        let mut styles = Vec::new();
        for role in Role::ALL {
            let look = file.roles.get(&role).ok_or_else(|| format!("the role {role:?} is missing"))?;
            styles.push(look.style()?);
        }
        Ok(Self { kind: file.kind, styles })
    }

    /// The theme in as many colours as the terminal shows.
    #[must_use]
    pub fn at(&self, depth: Depth) -> Self {
        Self::from_fn(self.kind, |role| {
            let style = self[role];
            match depth {
                Depth::None => Style::new().add_modifier(role.modifiers()),
                _ => Style {
                    fg: style.fg.map(|fg| depth.nearest(fg)),
                    bg: style.bg.map(|bg| depth.nearest(bg)),
                    ..style
                },
            }
        })
    }
}

impl Look {
    fn style(&self) -> Result<Style, String> {
        let color = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Color::from_str(text).map(Some).map_err(|_| format!("`{text}` is no colour")),
        };
        let mut style = Style { fg: color(&self.fg)?, bg: color(&self.bg)?, ..Style::new() };
        let switches = [
            (self.bold, Modifier::BOLD),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.dim, Modifier::DIM),
            (self.reverse, Modifier::REVERSED),
        ];
        for (_, modifier) in switches.into_iter().filter(|(on, _)| *on) {
            style = style.add_modifier(modifier);
        }
        Ok(style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.1: relative luminance.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(red, green, blue) = color else { panic!("{color:?}") };
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    #[test]
    fn built_in_themes_are_whole_and_can_be_read() {
        let nowhere = Path::new("/nowhere");
        for (name, _) in BUILT_IN {
            let theme = Theme::load(name, nowhere).unwrap();
            if name == "ansi16" {
                continue; // The terminal decides what its sixteen colours look like.
            }
            for role in Role::ALL.into_iter().filter(|role| *role != Role::Border) {
                let foreground = theme[role].fg.or(theme[Role::Text].fg).unwrap();
                let background = theme[role].bg.or(theme[Role::Text].bg).unwrap();
                let (one, other) = (luminance(foreground), luminance(background));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{name}: {role:?} has a contrast of {contrast:.2}");
            }
            let dark = luminance(theme[Role::Text].bg.unwrap()) < 0.18;
            assert_eq!(theme.kind == Kind::Dark, dark, "{name}");
        }
    }

    #[test]
    fn a_mistake_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let whole = BUILT_IN[0].1;
        let no_color = whole.replacen('#', "#x", 1);
        let no_role = whole.replacen("\n[roles.text]", "\n[roles.textt]", 1);
        let one_less: String =
            whole.split("\n[roles.").filter(|part| !part.starts_with("key]")).collect::<Vec<_>>().join("\n[roles.");
        for (name, text, problem) in [
            ("color", no_color.as_str(), "is no colour"),
            ("role", &no_role, "unknown variant `textt`"),
            ("missing", &one_less, "the role Key is missing"),
        ] {
            fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
            let error = Theme::load(name, folder.path()).unwrap_err().to_string();
            assert!(error.contains(problem), "{name}: {error}");
        }
        assert!(Theme::load("nfold-drak", folder.path()).unwrap_err().to_string().contains("nfold-dark"));
        assert!(Theme::load("../secret", folder.path()).is_err());
        assert_eq!(names(folder.path()).len(), BUILT_IN.len() + 3);
    }

    #[test]
    fn without_colours_roles_are_told_apart() {
        let plain = Theme::load("nfold-dark", Path::new("/nowhere")).unwrap().at(Depth::None);
        assert!(Role::ALL.into_iter().all(|role| plain[role].fg.is_none() && plain[role].bg.is_none()));
        assert_ne!(plain[Role::Selected], plain[Role::Text]);
    }
}
