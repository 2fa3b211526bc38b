//! Linear: A = Σ √(wᵢsᵢ) Aᵢ and B = Σ √(wᵢsᵢ) Bᵢ, PEFT's definition.
//!
//! Not the sum of the delta weights: cross terms √(wᵢsᵢwⱼsⱼ) Bᵢ Aⱼ appear. A negative coefficient's sign goes to A's side.

use crate::adapter::{Matrix, Pair};

use super::{MergeError, Part};

pub(super) fn merge(target: &str, parts: &[Part<'_>]) -> Result<Pair, MergeError> {
    let first = &parts[0];
    let rank = first.pair.rank();
    let mut a = Matrix::zeros(rank, first.pair.a.columns());
    let mut b = Matrix::zeros(first.pair.b.rows(), rank);
    for part in parts {
        if part.pair.rank() != rank {
            return Err(MergeError::Rank {
                first: first.name.to_owned(),
                first_rank: rank,
                second: part.name.to_owned(),
                second_rank: part.pair.rank(),
                tensor: target.to_owned(),
            });
        }
        let root = part.coefficient.abs().sqrt();
        a.add_scaled(&part.pair.a, root.copysign(part.coefficient));
        b.add_scaled(&part.pair.b, root);
    }
    Ok(Pair { a, b })
}
