//! Concat: A = [w₁s₁A₁; w₂s₂A₂; …] and B = [B₁ B₂ …], PEFT's `cat`: exactly Σ wᵢ ΔWᵢ, of rank Σ rᵢ.

use crate::adapter::{Matrix, Pair};

use super::Part;

pub(super) fn merge(parts: &[Part<'_>]) -> Pair {
    let above: Vec<(&Matrix, f32)> = parts.iter().map(|part| (&part.pair.a, part.coefficient)).collect();
    let beside: Vec<&Matrix> = parts.iter().map(|part| &part.pair.b).collect();
    Pair { a: Matrix::stack(&above), b: Matrix::beside(&beside) }
}
