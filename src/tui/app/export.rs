//! Answers as they are saved and kept: text, Markdown with front matter, an entry of the history.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::history::{Entry, LONGEST_DOCUMENT};
use crate::run::millis;

use super::answers::Answer;
use super::choice;
use super::documents::Source;

/// An answer as an entry, without the time at which it ended if it is new; `None` as long as it has no figures.
pub(crate) fn entry(answer: &Answer, source: &Source) -> Option<Entry> {
    if answer.entry.is_some() {
        return answer.entry.clone();
    }
    let summary = answer.summary.as_ref()?;
    Some(Entry {
        time: 0,
        document: source.name.clone(),
        text: Some(source.text.clone()).filter(|text| text.len() <= LONGEST_DOCUMENT),
        model: summary.model.clone(),
        combination: answer.ask.tasks.join("+"),
        strategy: summary.strategy.clone(),
        adapters: summary.adapters.clone(),
        settings: choice::settings(&answer.ask, &summary.penalties),
        answer: answer.text().to_owned(),
        figures: answer.figures.clone()?,
    })
}

/// What a file of that name holds: Markdown begins with what the answer comes from.
pub(crate) fn file(path: &Path, entry: &Entry) -> String {
    let markdown = path.extension().is_some_and(|ending| ending == "md" || ending == "markdown");
    let front = if markdown { front_matter(entry) } else { String::new() };
    format!("{front}{}\n", entry.answer)
}

/// YAML; strings are quoted as in JSON, which YAML understands.
fn front_matter(entry: &Entry) -> String {
    let mut text = "---\n".to_owned();
    let quoted = |text: &str| Value::from(text).to_string();
    let strings = [
        ("document", &entry.document),
        ("model", &entry.model),
        ("tasks", &entry.combination),
        ("method", &entry.strategy),
        ("settings", &entry.settings),
    ];
    for (key, value) in strings {
        let _ = writeln!(text, "{key}: {}", quoted(value));
    }
    if !entry.adapters.is_empty() {
        text.push_str("adapters:\n");
    }
    for (name, weight) in &entry.adapters {
        let _ = writeln!(text, "  {}: {weight}", quoted(name));
    }
    let figures = &entry.figures;
    let _ = write!(
        text,
        "passes: {}\nprompt_tokens: {}\noutput_tokens: {}\nprefill_tps: {}\ndecode_tps: {}\nttft_ms: {}\n---\n\n",
        figures.passes,
        figures.prompt,
        figures.output,
        figures.prefill_speed(),
        figures.decode_speed(),
        millis(figures.first_token),
    );
    text
}
