//! The file that llama.cpp loads: the model's own, or a copy that it computes prompts faster from.
//!
//! On a CPU, llama.cpp has blocked matrix kernels for Q8_0 and none for Q4_1: from the same weights as Q8_0 a prompt takes
//! little more than half the time, and an answer up to a tenth more, as long as the model is small (`make bench`). So a small
//! model in Q4_1 is written anew once, into the cache folder. SmolLM2's logits diverge from the exact ones by 0.0038 nats a token
//! then, by 0.0026 before, by 1e-11 from the same weights in F32 (the test `smollm2_diverges_…` prints them): nearly all of it
//! is llama.cpp's rounding of activations.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::file;
use crate::gguf::{self, TensorType};

/// Larger files are loaded as they are: decoding reads all weights for each token, and these are 1.7 times as many bytes.
const LARGEST: u64 = 512 << 20;

/// A GPU multiplies Q4_1 as fast as the rest.
const ON_GPU: bool = cfg!(any(feature = "cuda", feature = "vulkan", feature = "metal", feature = "rocm"));

/// The file to load for the model at `path`. `folder` keeps copies and need not exist; where none can be made there, the
/// model's own file is as good.
#[must_use]
pub fn to_load(path: &Path, sha256: Digest, folder: &Path) -> PathBuf {
    let copied = copy(path, &folder.join(format!("{sha256}.gguf")));
    copied
        .unwrap_or_else(|error| {
            tracing::info!(%error, "no faster copy of the model");
            None
        })
        .unwrap_or_else(|| path.to_path_buf())
}

/// The copy, made where it is not there or not whole; `None` where the model does not want one.
fn copy(path: &Path, target: &Path) -> io::Result<Option<PathBuf>> {
    if ON_GPU || fs::metadata(path)?.len() > LARGEST {
        return Ok(None);
    }
    if gguf::File::open(target).is_ok() {
        return Ok(Some(target.to_path_buf()));
    }
    let mut model = gguf::File::open(path).map_err(io::Error::other)?;
    if model.tensors().iter().all(|tensor| tensor.tensor_type != TensorType::Q4_1) {
        return Ok(None);
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let types = |before| if before == TensorType::Q4_1 { TensorType::Q8_0 } else { before };
    file::write_whole(target, |out| model.write_with(types, out))?;
    Ok(Some(target.to_path_buf()))
}
