//! Merging: several adapters become one, because llama.cpp runs one.
//!
//! "Merge" here is adapters into an adapter; adapters into the base weights is "fuse" (PEFT calls both merge).

mod concat;
mod linear;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::adapter::{Adapter, Card, Pair};

/// How adapters are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The factors' weighted sums, as PEFT's `linear`: same rank, with cross terms B_i · A_j.
    Linear,
    /// The ranks side by side, as PEFT's `cat`: exactly the weighted sum of the delta weights.
    Concat,
}

impl Method {
    /// Every method, in the order in which they are listed to users.
    pub const ALL: [Self; 2] = [Self::Linear, Self::Concat];

    /// The word for it on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Concat => "concat",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = MergeError;

    fn from_str(text: &str) -> Result<Self, MergeError> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| MergeError::Method(text.to_owned()))
    }
}

/// An adapter and its coefficient in a merge.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// The adapter.
    pub adapter: &'a Adapter,
    /// Its coefficient; may be negative.
    pub weight: f32,
}

/// Why adapters cannot be merged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MergeError {
    #[error("no adapter was given to merge")]
    Empty,
    #[error("`{0}` is no merge method; there are `linear` and `concat`")]
    Method(String),
    #[error("adapter `{name}` has weight {weight}, which is not a finite number")]
    Weight { name: String, weight: f32 },
    #[error("adapter `{name}` is for architecture `{found}`, adapter `{first}` for `{expected}`")]
    Architecture { name: String, found: String, first: String, expected: String },
    #[error(
        "adapters `{first}` and `{second}` have different shapes at `{tensor}`: they are for different base models"
    )]
    Shape { first: String, second: String, tensor: String },
    #[error(
        "adapter `{first}` has rank {first_rank} at `{tensor}`, adapter `{second}` rank {second_rank}; \
         `linear` needs equal ranks, use `concat`"
    )]
    Rank { first: String, first_rank: usize, second: String, second_rank: usize, tensor: String },
}

/// One pair's part in a merge: the pair, its weight times its adapter's scaling, and the adapter's name.
#[derive(Clone, Copy)]
struct Part<'a> {
    name: &'a str,
    pair: &'a Pair,
    coefficient: f32,
}

/// Merges adapters into one with alpha zero, that is, with scalings and weights folded into its factors.
///
/// A target that only some adapters change is merged from those.
pub fn merge(parts: &[Weighted<'_>], method: Method) -> Result<Adapter, MergeError> {
    let first = parts.first().ok_or(MergeError::Empty)?;
    let mut targets: BTreeMap<&str, Vec<Part<'_>>> = BTreeMap::new();
    for part in parts {
        check(first, part)?;
        for (target, pair) in &part.adapter.pairs {
            let coefficient = part.weight * part.adapter.scaling(pair);
            targets.entry(target).or_default().push(Part { name: part.name, pair, coefficient });
        }
    }
    let mut pairs = BTreeMap::new();
    for (target, parts) in targets {
        check_shapes(target, &parts)?;
        let pair = match method {
            Method::Linear => linear::merge(target, &parts)?,
            Method::Concat => concat::merge(&parts),
        };
        pairs.insert(target.to_owned(), pair);
    }
    let card = Card { provenance: Some(describe(parts, method)), ..shared_card(parts) };
    Ok(Adapter { architecture: first.adapter.architecture.clone(), alpha: 0.0, pairs, card })
}

fn check(first: &Weighted<'_>, part: &Weighted<'_>) -> Result<(), MergeError> {
    if !part.weight.is_finite() {
        return Err(MergeError::Weight { name: part.name.to_owned(), weight: part.weight });
    }
    if part.adapter.architecture != first.adapter.architecture {
        return Err(MergeError::Architecture {
            name: part.name.to_owned(),
            found: part.adapter.architecture.clone(),
            first: first.name.to_owned(),
            expected: first.adapter.architecture.clone(),
        });
    }
    Ok(())
}

fn check_shapes(target: &str, parts: &[Part<'_>]) -> Result<(), MergeError> {
    let shape = |part: &Part<'_>| (part.pair.a.columns(), part.pair.b.rows());
    match parts.iter().find(|part| shape(part) != shape(&parts[0])) {
        None => Ok(()),
        Some(other) => Err(MergeError::Shape {
            first: parts[0].name.to_owned(),
            second: other.name.to_owned(),
            tensor: target.to_owned(),
        }),
    }
}

fn describe(parts: &[Weighted<'_>], method: Method) -> String {
    let list: Vec<String> = parts.iter().map(|part| format!("{} × {}", part.weight, part.name)).collect();
    format!("merged ({method}): {}", list.join(" + "))
}

/// What the cards of all parts agree on, with their tasks joined.
fn shared_card(parts: &[Weighted<'_>]) -> Card {
    let cards = || parts.iter().map(|part| &part.adapter.card);
    let agreed = |field: fn(&Card) -> Option<String>| {
        let first = cards().next().and_then(field)?;
        cards().all(|card| field(card).as_ref() == Some(&first)).then_some(first)
    };
    let tasks: Option<Vec<&str>> = cards().map(|card| card.task.as_deref()).collect();
    let base_sha256 =
        parts[0].adapter.card.base_sha256.filter(|base| cards().all(|card| card.base_sha256 == Some(*base)));
    Card {
        task: tasks.map(|tasks| tasks.join("+")),
        base_name: agreed(|card| card.base_name.clone()),
        base_sha256,
        license: agreed(|card| card.license.clone()),
        ..Card::default()
    }
}
