//! Tables of figures: one row a combination and method, and the paper's layout, one column a compositional task.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Cell;
use super::method::{self, Method};
use super::score::Scores;

/// A combination's kind: `summarize+tone` for `summarize+tone:witty`.
fn family(task: &str) -> String {
    let kinds: Vec<&str> = task.split('+').map(|name| name.split(':').next().unwrap_or(name)).collect();
    kinds.join("+")
}

/// The score that a kind of combination is judged by, and its short name: replies by weighted ROUGE, the rest by ROUGE-L.
fn headline(task: &str, scores: &Scores) -> (&'static str, f64) {
    match task.starts_with("reply") {
        true => ("W-R", scores.weighted_rouge),
        false => ("R-L", scores.rouge_l),
    }
}

/// Every cell with its figures, as Markdown. With a baseline, its score and its time are the ones in ratios.
#[must_use]
pub fn detailed(cells: &[Cell], baseline: Option<&str>) -> String {
    let mut table = String::from(
        "| combination | method | R-L (95 %) | W-R | chrF++ | BLEU | language | length | repeats | passes | prompt | output | s | tok/s | extra |",
    );
    table.push_str(if baseline.is_some() { " score × | time × |\n" } else { "\n" });
    let columns = if baseline.is_some() { 17 } else { 15 };
    let _ = writeln!(table, "|---|---|{}", "---:|".repeat(columns - 2));
    for cell in cells {
        let scores = &cell.scores;
        let interval = scores.rouge_l_interval;
        let language = scores.in_language.map_or_else(|| "–".to_owned(), |share| format!("{share:.0} %"));
        let _ = write!(
            table,
            "| {} | {} | {:.1} ({:.1}–{:.1}) | {:.1} | {:.1} | {:.1} | {language} | {:.2} | {:.0} % | {:.0} | {:.0} | {:.0} | {:.2} | {:.0} | {} |",
            cell.task,
            cell.method,
            scores.rouge_l,
            interval.low,
            interval.high,
            scores.weighted_rouge,
            scores.chrf,
            scores.bleu,
            scores.length_ratio,
            scores.repetition,
            scores.passes,
            scores.prompt_tokens,
            scores.output_tokens,
            scores.seconds,
            scores.tokens_per_second,
            extra(scores),
        );
        if let Some(name) = baseline {
            let other = cells.iter().find(|other| other.method == name && other.task == cell.task);
            let ratio = |get: &dyn Fn(&Scores) -> f64| {
                other.map_or_else(|| "–".to_owned(), |other| format!("{:.2}", get(scores) / get(&other.scores)))
            };
            let _ = write!(
                table,
                " {} | {} |",
                ratio(&|scores| headline(&cell.task, scores).1),
                ratio(&|scores| scores.seconds)
            );
        }
        table.push('\n');
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "sizes are small")]
fn extra(scores: &Scores) -> String {
    match scores.extra_parameters {
        0 => "–".to_owned(),
        count => format!("{:.1}K, {:.2} MB", count as f64 / 1e3, scores.extra_bytes as f64 / 1e6),
    }
}

/// Methods by kinds of combination, averaged over each kind's combinations, as Markdown: the paper's layout. Where a method
/// was left out for some of them, the score says of how many it is.
#[must_use]
pub fn summary(cells: &[Cell]) -> String {
    let mut families: BTreeMap<String, Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        families.entry(family(&cell.task)).or_default().push(cell);
    }
    // Summaries before replies, translations before tones, as in the paper.
    let mut names: Vec<&String> = families.keys().collect();
    names.sort_by_key(|name| (name.starts_with("reply"), name.contains("tone")));
    let mut table = String::from("| method | one pass |");
    for name in &names {
        let head = families[*name].first().map_or("", |cell| headline(&cell.task, &cell.scores).0);
        let _ = write!(table, " {name} {head} | language | s |");
    }
    table.push_str(" extra, each |\n|---|---|");
    table.push_str(&"---:|".repeat(3 * names.len()));
    table.push_str("---|\n");
    for method in method::ALL {
        row(&mut table, method, &names, &families);
    }
    table
}

fn row(table: &mut String, method: &dyn Method, names: &[&String], families: &BTreeMap<String, Vec<&Cell>>) {
    let own =
        |name: &String| families[name].iter().filter(|cell| cell.method == method.name()).copied().collect::<Vec<_>>();
    let all: Vec<&Cell> = names.iter().flat_map(|name| own(name)).collect();
    let Some(any) = all.first() else { return };
    let one_pass = if all.iter().all(|cell| cell.scores.passes <= 1.0) { "yes" } else { "no" };
    let _ = write!(table, "| {} | {one_pass} |", method.title());
    for name in names {
        let cells = own(name);
        if cells.is_empty() {
            table.push_str(" – | – | – |");
            continue;
        }
        let mean = |get: &dyn Fn(&Cell) -> f64| average(&cells.iter().map(|cell| get(cell)).collect::<Vec<_>>());
        let told: Vec<f64> = cells.iter().filter_map(|cell| cell.scores.in_language).collect();
        let language = if told.is_empty() { "–".to_owned() } else { format!("{:.0} %", average(&told)) };
        let combinations = families[*name].iter().map(|cell| &cell.task).collect::<BTreeSet<_>>().len();
        let part = match cells.len() < combinations {
            true => format!(" ({} of {combinations})", cells.len()),
            false => String::new(),
        };
        let _ = write!(
            table,
            " {:.2}{part} | {language} | {:.2} |",
            mean(&|cell| headline(&cell.task, &cell.scores).1),
            mean(&|cell| cell.scores.seconds)
        );
    }
    let _ = writeln!(table, " {} |", extra(&any.scores));
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn average(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn families_are_the_papers_compositional_tasks() {
        assert_eq!(family("summarize+translate:es"), "summarize+translate");
        assert_eq!(family("reply+tone:witty"), "reply+tone");
    }
}
