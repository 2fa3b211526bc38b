//! Learning adapters and calibrations (feature `train`), in candle, beside a frozen base model.
//!
//! `base` reads the GGUF model that llama.cpp runs; `ops` and `pass` are its forward and backward; `learned` is what is
//! learned; `adamw` moves it; `batch` feeds it; `job` says what is asked and told; `session` is the loop.

mod adamw;
mod base;
mod batch;
mod checkpoint;
mod job;
mod learned;
mod ops;
mod pass;
mod session;

pub use adamw::Optimizer;
pub use base::{Base, BaseError};
pub use batch::{Example, ExampleWeight};
pub use checkpoint::CheckpointError;
pub use job::{End, Event, Group, Job, Outcome, Settings, Start, TrainError};
pub use learned::Shape;
pub use session::{gradients, learn, logits};

use candle_core::Device;

/// How many numbers are learned: for an adapter rank · Σ (`d_in` + `d_out`) over all weights, for a calibration the same
/// (++) or Σ `d_out` (vector) over module types.
#[must_use]
pub fn parameters(shape: Shape, base: &Base) -> usize {
    let modules = base.modules();
    let sides = || modules.values().map(|(inputs, outputs)| inputs + outputs).sum::<usize>();
    match shape {
        Shape::Adapter { rank, .. } => rank * sides() * base.layers(),
        Shape::LowRank { rank } => rank * sides(),
        Shape::Vector => modules.values().map(|(_, outputs)| outputs).sum(),
    }
}

/// The architectures that can be trained on.
pub const ARCHITECTURES: [&str; 2] = ["llama", "qwen2"];

/// The device to train on: a GPU where nfold was built for one and there is one, else the CPU.
#[must_use]
pub fn device() -> Device {
    let gpu = || -> candle_core::Result<Device> {
        if candle_core::utils::cuda_is_available() {
            return Device::new_cuda(0);
        }
        if candle_core::utils::metal_is_available() {
            return Device::new_metal(0);
        }
        Ok(Device::Cpu)
    };
    gpu().unwrap_or(Device::Cpu)
}
