//! What this build of llama.cpp can do on this machine.

use llama_cpp_2::{LlamaBackendDeviceType, list_llama_ggml_backend_devices};

use crate::engine::EngineError;

use super::{backend, threads};

/// What this build of llama.cpp can do on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The SIMD features that ggml's CPU code was compiled with; its build follows rustc's target features.
    pub simd: Vec<&'static str>,
    /// Processors and graphics cards, as llama.cpp names them.
    pub devices: Vec<String>,
    /// Whether layers can go on a GPU.
    pub gpu: bool,
    /// Threads that decoding starts with.
    pub threads: usize,
    /// Processors that this process may use.
    pub processors: usize,
}

impl Native {
    /// Whether ggml's CPU code uses vector instructions; without, it is several times slower.
    #[must_use]
    pub fn has_simd(&self) -> bool {
        self.simd.iter().any(|feature| ["AVX2", "NEON"].contains(feature))
    }
}

/// Asks llama.cpp and the compiler.
pub fn native() -> Result<Native, EngineError> {
    let backend = backend()?;
    let all = [
        ("SSE4.2", cfg!(target_feature = "sse4.2")),
        ("AVX", cfg!(target_feature = "avx")),
        ("AVX2", cfg!(target_feature = "avx2")),
        ("FMA", cfg!(target_feature = "fma")),
        ("F16C", cfg!(target_feature = "f16c")),
        ("BMI2", cfg!(target_feature = "bmi2")),
        ("AVX512", cfg!(target_feature = "avx512f")),
        ("NEON", cfg!(target_feature = "neon")),
        ("DOTPROD", cfg!(target_feature = "dotprod")),
    ];
    let devices = list_llama_ggml_backend_devices().into_iter().map(|device| match device.device_type {
        LlamaBackendDeviceType::Cpu => device.description,
        _ => format!("{} ({})", device.description, device.name),
    });
    Ok(Native {
        simd: all.into_iter().filter(|feature| feature.1).map(|feature| feature.0).collect(),
        devices: devices.collect(),
        gpu: backend.supports_gpu_offload(),
        threads: threads::default_count(),
        processors: num_cpus::get(),
    })
}
