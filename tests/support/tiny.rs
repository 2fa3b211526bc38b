//! A one-layer llama of 115 KB with fixed weights, and adapters for it: real llama.cpp at test speed.

use std::collections::BTreeMap;
use std::path::Path;

use nfold::adapter::{Adapter, Card, Matrix, Pair};
use nfold::gguf::{Data, Value, Writer};

pub const EMBEDDING: usize = 32;
pub const FEED_FORWARD: usize = 64;
const VOCABULARY: usize = 260;

/// Targets with their `d_in` and `d_out`.
pub const TARGETS: [(&str, usize, usize); 7] = [
    ("blk.0.attn_q.weight", EMBEDDING, EMBEDDING),
    ("blk.0.attn_k.weight", EMBEDDING, EMBEDDING),
    ("blk.0.attn_v.weight", EMBEDDING, EMBEDDING),
    ("blk.0.attn_output.weight", EMBEDDING, EMBEDDING),
    ("blk.0.ffn_gate.weight", EMBEDDING, FEED_FORWARD),
    ("blk.0.ffn_up.weight", EMBEDDING, FEED_FORWARD),
    ("blk.0.ffn_down.weight", FEED_FORWARD, EMBEDDING),
];

/// Numbers in ±1 that are the same on every machine (xorshift).
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = u16::try_from(self.0 >> 48).unwrap();
        f32::from(bits) / 32_768.0 - 1.0
    }

    /// Numbers that F16 holds exactly, so that files keep them.
    pub fn matrix(&mut self, rows: usize, columns: usize, scale: f32) -> Matrix {
        let numbers = (0..rows * columns).map(|_| half::f16::from_f32(self.next() * scale).to_f32());
        Matrix::new(rows, columns, numbers.collect()).unwrap()
    }
}

/// All weight matrices of the tiny model, row-major, by name.
pub type Weights = BTreeMap<String, Matrix>;

pub fn weights() -> Weights {
    let mut noise = Noise::new(7);
    let mut weights = BTreeMap::new();
    for (name, inputs, outputs) in TARGETS {
        weights.insert(name.to_owned(), noise.matrix(outputs, inputs, 0.5));
    }
    weights.insert("token_embd.weight".to_owned(), noise.matrix(VOCABULARY, EMBEDDING, 1.0));
    weights.insert("output.weight".to_owned(), noise.matrix(VOCABULARY, EMBEDDING, 1.0));
    weights
}

/// Writes the model as a llama.
pub fn write_model(path: &Path, weights: &Weights) {
    write_model_as(path, weights, "llama");
}

/// Writes the model as if it were of another architecture.
pub fn write_model_as(path: &Path, weights: &Weights, architecture: &'static str) {
    write(path, weights, &Layout { architecture, layers: 1, kv_heads: 2, biases: false, tied: false });
}

/// How a tiny model is built.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub architecture: &'static str,
    pub layers: usize,
    /// Of two heads.
    pub kv_heads: usize,
    /// Whether q, k and v have biases.
    pub biases: bool,
    /// Whether the output uses the embedding.
    pub tied: bool,
}

impl Layout {
    /// Noise for every matrix, and vectors for norms and biases.
    pub fn write(&self, path: &Path) {
        let mut noise = Noise::new(11);
        let mut weights = BTreeMap::new();
        for layer in 0..self.layers {
            for (name, inputs, outputs) in TARGETS {
                let shared = name.contains("attn_k") || name.contains("attn_v");
                let outputs = if shared { outputs * self.kv_heads / 2 } else { outputs };
                let name = name.replace("blk.0", &format!("blk.{layer}"));
                weights.insert(name, noise.matrix(outputs, inputs, 0.4));
            }
        }
        weights.insert("token_embd.weight".to_owned(), noise.matrix(VOCABULARY, EMBEDDING, 1.0));
        if !self.tied {
            weights.insert("output.weight".to_owned(), noise.matrix(VOCABULARY, EMBEDDING, 1.0));
        }
        write(path, &weights, self);
    }
}

/// Writes a model. Its vocabulary is the 256 bytes, so it can read and write anything.
fn write(path: &Path, weights: &Weights, layout: &Layout) {
    let architecture = layout.architecture;
    let mut bytes = Vec::new();
    let mut writer = Writer::new();
    writer.set("general.architecture", Value::String(architecture.to_owned()));
    writer.set("general.name", Value::String("tiny".to_owned()));
    for (key, number) in [
        ("context_length", 256),
        ("embedding_length", 32),
        ("block_count", layout.layers as i128),
        ("feed_forward_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", layout.kv_heads as i128),
        ("rope.dimension_count", 16),
        ("vocab_size", 260),
    ] {
        writer.set(format!("{architecture}.{key}"), Value::Integer(number));
    }
    writer.set(format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(1e-5));
    writer.set("tokenizer.ggml.model", Value::String("llama".to_owned()));
    for (key, token) in [("bos", 1), ("eos", 2), ("unknown", 0)] {
        writer.set(format!("tokenizer.ggml.{key}_token_id"), Value::Integer(token));
    }
    let template =
        "{% for message in messages %}<|im_start|>{{message['role']}}\n{{message['content']}}<|im_end|>\n{% endfor %}";
    writer.set("tokenizer.chat_template", Value::String(template.to_owned()));
    let ones = [1.0f32; EMBEDDING];
    let uneven = Noise::new(5).matrix(1, EMBEDDING, 0.5);
    writer.tensor("output_norm.weight", &[32], Data::F32(&ones));
    for layer in 0..layout.layers {
        for name in ["attn_norm", "ffn_norm"] {
            writer.tensor(format!("blk.{layer}.{name}.weight"), &[32], Data::F32(&ones));
        }
        for name in ["attn_q", "attn_k", "attn_v"].into_iter().filter(|_| layout.biases) {
            let outputs = if name == "attn_q" { 32 } else { 16 * layout.kv_heads };
            let bias = &uneven.data()[..outputs];
            writer.tensor(format!("blk.{layer}.{name}.bias"), &[outputs as u64], Data::F32(bias));
        }
    }
    for (name, matrix) in weights {
        writer.tensor(name, &[matrix.columns() as u64, matrix.rows() as u64], Data::F32(matrix.data()));
    }
    writer.write(&mut bytes).unwrap();
    std::fs::write(path, with_vocabulary(&bytes)).unwrap();
}

/// Adds the three arrays of the vocabulary, which nfold itself never writes, in front of the other metadata.
fn with_vocabulary(file: &[u8]) -> Vec<u8> {
    let (texts, types) = vocabulary();
    let mut arrays = Vec::new();
    let mut array = |key: &str, kind: u32, elements: &dyn Fn(usize) -> Vec<u8>| {
        arrays.extend_from_slice(&(key.len() as u64).to_le_bytes());
        arrays.extend_from_slice(key.as_bytes());
        arrays.extend_from_slice(&9u32.to_le_bytes());
        arrays.extend_from_slice(&kind.to_le_bytes());
        arrays.extend_from_slice(&(VOCABULARY as u64).to_le_bytes());
        (0..VOCABULARY).for_each(|token| arrays.extend(elements(token)));
    };
    array("tokenizer.ggml.tokens", 8, &|token| {
        let text: &String = &texts[token];
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    });
    array("tokenizer.ggml.scores", 6, &|_| 0f32.to_le_bytes().to_vec());
    array("tokenizer.ggml.token_type", 5, &|token| types[token].to_le_bytes().to_vec());
    // The data section must stay aligned: pad with one more entry.
    let key = "general.description";
    let fixed = arrays.len() + 8 + key.len() + 4 + 8;
    let padding = " ".repeat((32 - fixed % 32) % 32);
    arrays.extend_from_slice(&(key.len() as u64).to_le_bytes());
    arrays.extend_from_slice(key.as_bytes());
    arrays.extend_from_slice(&8u32.to_le_bytes());
    arrays.extend_from_slice(&(padding.len() as u64).to_le_bytes());
    arrays.extend_from_slice(padding.as_bytes());
    let entries = u64::from_le_bytes(file[16..24].try_into().unwrap()) + 4;
    [&file[..16], &entries.to_le_bytes(), &arrays, &file[24..]].concat()
}

fn vocabulary() -> (Vec<String>, Vec<i32>) {
    let mut texts = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    let mut types = vec![2, 3, 3];
    for byte in 0..=255u8 {
        texts.push(format!("<0x{byte:02X}>"));
        types.push(6);
    }
    texts.push("\u{2581}".to_owned());
    types.push(1);
    (texts, types)
}

/// An adapter on all seven targets.
pub fn adapter(seed: u64, rank: usize, alpha: f32) -> Adapter {
    let mut noise = Noise::new(seed);
    let pairs = TARGETS.map(|(name, inputs, outputs)| {
        let (a, b) = (noise.matrix(rank, inputs, 0.5), noise.matrix(outputs, rank, 0.5));
        (name.to_owned(), Pair { a, b })
    });
    Adapter { architecture: "llama".to_owned(), alpha, pairs: pairs.into(), card: Card::default() }
}

/// The base weights with an adapter's delta weights added in.
pub fn fuse(weights: &Weights, adapter: &Adapter, weight: f32) -> Weights {
    let mut fused = weights.clone();
    for target in adapter.pairs.keys() {
        let delta = adapter.delta_weight(target).unwrap();
        fused.get_mut(target).unwrap().add_scaled(&delta, weight);
    }
    fused
}
