//! Examples from files: JSONL and tab-separated pairs.
//!
//! A JSONL line is an object. Its fields are named by `input=` and `output=` of the source, dots going inside
//! (`summary.es`); without them it is `{"text": …, "output": …}`, or the house format: `text`, and `summary` and `reply`,
//! each with the versions `en`, `es`, `professional`, …, from which the task picks its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::task::{Combination, Kind};

/// A file of examples and how to read it: `FILE[,key=value…]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file: `.tsv` for pairs, anything else is JSONL.
    pub path: PathBuf,
    /// How often each of its examples comes in an epoch; 0.5 takes a random half each time.
    pub weight: f32,
    /// The field of the input.
    pub input: Option<String>,
    /// The field of the output.
    pub output: Option<String>,
    /// Only lines in which this field has this value.
    pub filter: Option<(String, String)>,
    /// Up to so many neighbouring lines become one example: longer, with less overhead.
    pub join: usize,
    /// At most so many examples: the first.
    pub limit: Option<usize>,
}

impl Source {
    /// A file without settings.
    #[must_use]
    pub fn plain(path: &Path) -> Self {
        let path = path.to_path_buf();
        Self { path, weight: 1.0, input: None, output: None, filter: None, join: 1, limit: None }
    }
}

/// Words that are no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a file and settings were expected, as in `pairs.tsv,weight=2,join=4` (weight, input, output, where, join, limit)"
)]
pub struct NotASource(String);

impl FromStr for Source {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        let mut parts = text.split(',');
        let mut source = Self::plain(Path::new(parts.next().unwrap_or_default()));
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| NotASource(format!("`{part}` has no `=`")))?;
            let wrong = || NotASource(format!("`{value}` is no {key}"));
            match key {
                "weight" => {
                    let weight = value.parse::<f32>().map_err(|_| wrong())?;
                    source.weight = (weight > 0.0 && weight <= 1000.0).then_some(weight).ok_or_else(wrong)?;
                }
                "input" => source.input = Some(value.to_owned()),
                "output" => source.output = Some(value.to_owned()),
                "where" => {
                    let (field, wanted) = value.split_once(':').ok_or_else(wrong)?;
                    source.filter = Some((field.to_owned(), wanted.to_owned()));
                }
                "join" => {
                    let join = value.parse::<usize>().map_err(|_| wrong())?;
                    source.join = (1..=64).contains(&join).then_some(join).ok_or_else(wrong)?;
                }
                "limit" => source.limit = Some(value.parse().map_err(|_| wrong())?),
                _ => return Err(NotASource(format!("`{key}` is no setting of a file"))),
            }
        }
        Ok(source)
    }
}

/// An input and the output that is wanted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What the task works on.
    pub input: String,
    /// What it should give; empty where only inputs were asked for.
    pub output: String,
}

/// Why a file gives no examples.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DataError {
    #[error("cannot read data `{path}`: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("data `{path}`, line {line}: {problem}", path = path.display())]
    Line { path: PathBuf, line: usize, problem: String },
    #[error("data `{path}` holds no example for {task}", path = path.display())]
    Empty { path: PathBuf, task: String },
}

/// Where in a line input and output stand.
type Fields = Vec<(String, String)>;

/// Reads a source's pairs for a task. `output`, where given, stands in for sources that name no field of their own.
pub fn read(source: &Source, output: Option<&str>, combination: &Combination) -> Result<Vec<Pair>, DataError> {
    read_with(source, output, combination, Wanted::Pairs)
}

/// Reads a source's inputs alone.
pub fn read_inputs(source: &Source, combination: &Combination) -> Result<Vec<Pair>, DataError> {
    read_with(source, None, combination, Wanted::Inputs)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Pairs,
    Inputs,
}

fn read_with(
    source: &Source,
    output: Option<&str>,
    combination: &Combination,
    wanted: Wanted,
) -> Result<Vec<Pair>, DataError> {
    let path = &source.path;
    let bytes = fs::read(path).map_err(|error| DataError::Read { path: path.clone(), source: error })?;
    let pairs_file = path.extension().is_some_and(|ending| ending == "tsv");
    let given = given_fields(source, output, wanted);
    let mut pairs = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let wrong = |problem: String| DataError::Line { path: path.clone(), line: number + 1, problem };
        let line = std::str::from_utf8(line).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() {
            continue;
        }
        match pairs_file {
            true => pairs.push(tab_separated(line).map_err(wrong)?),
            false => pairs.extend(from_json(line, source, given.as_ref(), combination, wanted).map_err(wrong)?),
        }
        if source.limit.is_some_and(|limit| pairs.len() >= limit * source.join) {
            break;
        }
    }
    pairs.retain(|pair| !pair.input.trim().is_empty() && (wanted == Wanted::Inputs || !pair.output.trim().is_empty()));
    let mut pairs = join(pairs, source.join);
    pairs.truncate(source.limit.unwrap_or(usize::MAX));
    match pairs.is_empty() {
        true => Err(DataError::Empty { path: path.clone(), task: combination.id() }),
        false => Ok(pairs),
    }
}

fn given_fields(source: &Source, output: Option<&str>, wanted: Wanted) -> Option<Fields> {
    let input = source.input.clone();
    if wanted == Wanted::Inputs {
        return input.map(|input| vec![(input, String::new())]);
    }
    let output = source.output.as_deref().or(output);
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(vec![(input.unwrap_or_else(|| "text".to_owned()), output.unwrap_or("output").to_owned())])
}

fn tab_separated(line: &str) -> Result<Pair, String> {
    let mut columns = line.split('\t');
    match (columns.next(), columns.next()) {
        (Some(input), Some(output)) => Ok(Pair { input: input.to_owned(), output: output.to_owned() }),
        _ => Err("two columns with a tab between them were expected".to_owned()),
    }
}

fn from_json(
    line: &str,
    source: &Source,
    given: Option<&Fields>,
    combination: &Combination,
    wanted: Wanted,
) -> Result<Vec<Pair>, String> {
    let row: Value = serde_json::from_str(line).map_err(|error| format!("it is not JSON: {error}"))?;
    if let Some((field, value)) = &source.filter
        && find(&row, field).and_then(Value::as_str) != Some(value)
    {
        return Ok(Vec::new());
    }
    let derived;
    let fields = if let Some(fields) = given {
        fields
    } else {
        derived = fields_of(&row, combination, wanted)?;
        &derived
    };
    let mut pairs = Vec::new();
    for (input, output) in fields {
        let Some(input) = text(&row, input)? else { continue };
        let output = if wanted == Wanted::Inputs { Some(String::new()) } else { text(&row, output)? };
        pairs.extend(output.map(|output| Pair { input, output }));
    }
    Ok(pairs)
}

/// The fields of a line that names none: plain pairs, or the house format's versions for this task.
fn fields_of(row: &Value, combination: &Combination, wanted: Wanted) -> Result<Fields, String> {
    let own = |input: &str, output: &str| (input.to_owned(), output.to_owned());
    if row.get("output").is_some() {
        return Ok(vec![own("text", "output")]);
    }
    let version = |id: &str| id.rsplit(':').next().unwrap_or(id).to_owned();
    let main = |id: &str| if id == "summarize" { "summary".to_owned() } else { id.to_owned() };
    let tasks: Vec<_> = combination.tasks().iter().collect();
    let fields = match tasks[..] {
        [one] if one.kind == Kind::Main => vec![own("text", &format!("{}.en", main(&one.id)))],
        [first, shaping] if first.kind == Kind::Main => {
            vec![own("text", &format!("{}.{}", main(&first.id), version(&shaping.id)))]
        }
        _ if wanted == Wanted::Inputs => vec![own("text", "")],
        [shaping] => {
            let version = version(&shaping.id);
            ["summary", "reply"].map(|main| (format!("{main}.en"), format!("{main}.{version}"))).into()
        }
        _ => return Err(format!("no field is known for {}; name one with `output=`", combination.id())),
    };
    match wanted == Wanted::Pairs && fields.iter().all(|(_, output)| row.get(outer(output)).is_none()) {
        true => Err(format!("it has neither a field `output` nor the house format's `{}`", fields[0].1)),
        false => Ok(fields),
    }
}

/// The field of a line that a field with dots lies in.
fn outer(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

fn find<'a>(row: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(row, |value, name| value.get(name))
}

/// A field's text; `None` where it, or what it lies in, is null.
fn text(row: &Value, field: &str) -> Result<Option<String>, String> {
    match (row.get(outer(field)), find(row, field)) {
        (Some(Value::Null), _) | (_, Some(Value::Null)) => Ok(None),
        (_, Some(Value::String(text))) => Ok(Some(text.clone())),
        (_, Some(_)) => Err(format!("its field `{field}` is no text")),
        (_, None) => Err(format!("it has no field `{field}`")),
    }
}

/// Joins neighbours, one to `most` at a time in a fixed pattern.
fn join(pairs: Vec<Pair>, most: usize) -> Vec<Pair> {
    if most <= 1 {
        return pairs;
    }
    let (mut joined, mut rest, mut size) = (Vec::new(), &pairs[..], 0);
    while !rest.is_empty() {
        size = size % most + 1;
        let (part, others) = rest.split_at(size.min(rest.len()));
        let all = |get: fn(&Pair) -> &str| part.iter().map(get).collect::<Vec<_>>().join(" ");
        joined.push(Pair { input: all(|pair| &pair.input), output: all(|pair| &pair.output) });
        rest = others;
    }
    joined
}

/// What a file is called, for provenance: its name without folders.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
