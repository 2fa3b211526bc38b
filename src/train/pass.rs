//! One pass through the base model, forward and backward.
//!
//! Sequences lie one behind the other, without padding. Backward hands every product's input and output gradient to
//! whoever learns something there, and computes no gradient of a frozen weight: 2 flops for each weight and token
//! forward, 2 backward. Activations that are cheap to compute (norms, SwiGLU) are computed again instead of kept.

use candle_core::{DType, Result, Tensor};

use super::base::{Base, Product, Weight};
use super::ops::attention::{self, Attended};
use super::ops::loss::cross_entropy;
use super::ops::rope::Turn;
use super::ops::{norm, swiglu};

/// Sequences for one pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// The input tokens of all sequences, one behind the other.
    pub(super) ids: Vec<u32>,
    /// Each sequence's length.
    pub(super) lengths: Vec<usize>,
    /// Rows whose next token counts, and that token.
    pub(super) targets: Vec<(u32, u32)>,
}

/// The matrices that a pass multiplies with: the base's, with whatever is learned fused in. By layer, in the order of
/// [`Product::ALL`].
pub(super) type Matrices = Vec<[Tensor; 4]>;

/// A product in a pass, for whoever learns something there.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The block.
    pub(super) layer: usize,
    /// Which of its products, and what it is made of.
    pub(super) weight: &'a Weight,
    /// Its input, rows × `d_in`.
    pub(super) input: &'a Tensor,
    /// The gradient of its output, rows × `d_out`.
    pub(super) gradient: &'a Tensor,
}

/// What backward needs of one block's forward.
struct Kept {
    input: Tensor,
    qkv: Tensor,
    attended: Attended,
    middle: Tensor,
    gate_up: Tensor,
}

/// One pass over one batch.
pub(super) struct Pass<'a> {
    base: &'a Base,
    matrices: &'a Matrices,
    batch: &'a Batch,
    positions: Vec<usize>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(base: &'a Base, matrices: &'a Matrices, batch: &'a Batch) -> Self {
        let positions = batch.lengths.iter().flat_map(|length| 0..*length).collect();
        Self { base, matrices, batch, positions }
    }

    /// The sum of the targets' losses, in nats.
    pub(super) fn loss(&self) -> Result<f64> {
        let (hidden, _) = self.forward(false)?;
        let (sum, _) = cross_entropy(&self.head(&hidden)?, &self.base.output, &self.target_tokens(), None)?;
        Ok(sum)
    }

    /// The logits behind every token, rows × vocabulary.
    pub(super) fn logits(&self) -> Result<Tensor> {
        let (hidden, _) = self.forward(false)?;
        let hidden = norm::forward(&hidden, &self.base.output_norm, self.base.dimensions.epsilon)?;
        hidden.matmul(&self.base.output.t()?)
    }

    /// Goes forward and backward for the mean loss of the targets; gives the sum of their losses.
    pub(super) fn gradients(&self, on_place: &mut dyn FnMut(Place<'_>) -> Result<()>) -> Result<f64> {
        let (hidden, kept) = self.forward(true)?;
        let selected = self.select(&hidden)?;
        let epsilon = self.base.dimensions.epsilon;
        let normed = norm::forward(&selected, &self.base.output_norm, epsilon)?;
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let scale = 1.0 / self.batch.targets.len() as f32;
        let (sum, gradient) = cross_entropy(&normed, &self.base.output, &self.target_tokens(), Some(scale))?;
        let Some(gradient) = gradient else {
            return Ok(sum);
        };
        let none = gradient.zeros_like()?;
        let gradient = norm::backward(&selected, &self.base.output_norm, epsilon, &gradient, &none)?;
        let mut gradient = hidden.zeros_like()?.index_add(&self.target_rows()?, &gradient, 0)?;
        for (layer, kept) in kept.into_iter().enumerate().rev() {
            gradient = self.block_backward(layer, &kept, &gradient, on_place)?;
        }
        Ok(sum)
    }

    fn target_tokens(&self) -> Vec<u32> {
        self.batch.targets.iter().map(|target| target.1).collect()
    }

    fn target_rows(&self) -> Result<Tensor> {
        let rows: Vec<u32> = self.batch.targets.iter().map(|target| target.0).collect();
        Tensor::new(rows, &self.base.device)
    }

    fn select(&self, hidden: &Tensor) -> Result<Tensor> {
        hidden.index_select(&self.target_rows()?, 0)
    }

    fn head(&self, hidden: &Tensor) -> Result<Tensor> {
        norm::forward(&self.select(hidden)?, &self.base.output_norm, self.base.dimensions.epsilon)
    }

    fn forward(&self, keep: bool) -> Result<(Tensor, Vec<Kept>)> {
        let ids = Tensor::new(&self.batch.ids[..], &self.base.device)?;
        let mut hidden = self.base.embedding.index_select(&ids, 0)?.to_dtype(DType::F32)?;
        let mut all = Vec::new();
        for layer in 0..self.base.layers.len() {
            let kept;
            (hidden, kept) = self.block(layer, hidden)?;
            if keep {
                all.push(kept);
            }
        }
        Ok((hidden, all))
    }

    fn block(&self, layer: usize, input: Tensor) -> Result<(Tensor, Kept)> {
        let (block, dimensions) = (&self.base.layers[layer], &self.base.dimensions);
        let normed = norm::forward(&input, &block.attention_norm, dimensions.epsilon)?;
        let qkv = self.product(layer, Product::Qkv, &normed)?;
        let qkv = dimensions.rope.turn(&qkv, &self.positions, Turn::Forth)?;
        let attended = attention::forward(&qkv, &self.batch.lengths, dimensions.heads)?;
        let middle = (&input + self.product(layer, Product::Output, &attended.output)?)?;
        let normed = norm::forward(&middle, &block.feed_forward_norm, dimensions.epsilon)?;
        let gate_up = self.product(layer, Product::GateUp, &normed)?;
        let active = swiglu::forward(&gate_up)?;
        let output = (&middle + self.product(layer, Product::Down, &active)?)?;
        Ok((output, Kept { input, qkv, attended, middle, gate_up }))
    }

    fn product(&self, layer: usize, product: Product, input: &Tensor) -> Result<Tensor> {
        let output = input.matmul(&self.matrices[layer][product as usize].t()?)?;
        match &self.base.layers[layer].weights[product as usize].bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }

    /// The gradient of a block's input from that of its output.
    fn block_backward(
        &self,
        layer: usize,
        kept: &Kept,
        gradient: &Tensor,
        on_place: &mut dyn FnMut(Place<'_>) -> Result<()>,
    ) -> Result<Tensor> {
        let (block, dimensions) = (&self.base.layers[layer], &self.base.dimensions);
        let mut back = |product: Product, input: &Tensor, gradient: &Tensor| -> Result<Tensor> {
            on_place(Place { layer, weight: &block.weights[product as usize], input, gradient })?;
            gradient.matmul(&self.matrices[layer][product as usize])
        };
        let active = swiglu::forward(&kept.gate_up)?;
        let flow = back(Product::Down, &active, gradient)?;
        drop(active);
        let flow = swiglu::backward(&kept.gate_up, &flow)?;
        let normed = norm::forward(&kept.middle, &block.feed_forward_norm, dimensions.epsilon)?;
        let flow = back(Product::GateUp, &normed, &flow)?;
        let middle = norm::backward(&kept.middle, &block.feed_forward_norm, dimensions.epsilon, &flow, gradient)?;
        let flow = back(Product::Output, &kept.attended.output, &middle)?;
        let flow = attention::backward(&kept.qkv, &self.batch.lengths, dimensions.heads, &kept.attended, &flow)?;
        let flow = dimensions.rope.turn(&flow, &self.positions, Turn::Back)?;
        let normed = norm::forward(&kept.input, &block.attention_norm, dimensions.epsilon)?;
        let flow = back(Product::Qkv, &normed, &flow)?;
        norm::backward(&kept.input, &block.attention_norm, dimensions.epsilon, &flow, &middle)
    }
}
