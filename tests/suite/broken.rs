//! A corpus of broken adapter files: each is refused by nfold, with a message that names the file and what is wrong,
//! before llama.cpp sees it.

use nfold::adapter;
use nfold::gguf::{Data, Value, Writer};

use crate::support::{World, tiny};

/// The parts of a file that is then broken.
struct File {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Vec<u64>, Vec<f32>)>,
}

impl File {
    fn good() -> Self {
        let text = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
        let metadata = vec![
            text("general.type", "adapter"),
            text("general.architecture", "llama"),
            text("adapter.type", "lora"),
            ("adapter.lora.alpha".to_owned(), Value::F32(8.0)),
        ];
        let tensors = vec![
            ("blk.0.attn_v.weight.lora_a".to_owned(), vec![32, 2], vec![0.5; 64]),
            ("blk.0.attn_v.weight.lora_b".to_owned(), vec![2, 32], vec![0.25; 64]),
        ];
        Self { metadata, tensors }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.metadata.iter().for_each(|(key, value)| writer.set(key.clone(), value.clone()));
        self.tensors.iter().for_each(|(name, shape, data)| writer.tensor(name.clone(), shape, Data::F32(data)));
        let mut bytes = Vec::new();
        writer.write(&mut bytes).unwrap();
        bytes
    }

    fn with(change: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut file = Self::good();
        change(&mut file);
        file.bytes()
    }
}

/// The good file with some bytes replaced at a place.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = File::good().bytes();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// Where the good file has some bytes.
fn find(what: &[u8]) -> usize {
    let file = File::good().bytes();
    file.windows(what.len()).position(|window| window == what).unwrap()
}

/// Where the fields of the first tensor's entry begin: behind its name.
fn first_tensor() -> usize {
    let name = b"blk.0.attn_v.weight.lora_a";
    find(name) + name.len()
}

/// Every mutation with what its message must contain.
#[expect(clippy::too_many_lines, reason = "a table")]
fn mutations() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let huge = u64::MAX.to_le_bytes();
    let big = (1u64 << 40).to_le_bytes();
    let key = find(b"general.type");
    let tensor = first_tensor();
    let alpha = find(b"adapter.lora.alpha") + 18;
    let set = |key: &'static str, value: Value| {
        File::with(|file| file.metadata.iter_mut().find(|entry| entry.0 == key).unwrap().1 = value)
    };
    let text = |text: &str| Value::String(text.to_owned());
    vec![
        ("empty", Vec::new(), "cut off"),
        ("three bytes", b"GGU".to_vec(), "cut off"),
        ("not GGUF", patched(0, b"PK\x03\x04"), "not a GGUF file"),
        ("version 0", patched(4, &0u32.to_le_bytes()), "version"),
        ("version 1", patched(4, &1u32.to_le_bytes()), "version 1"),
        ("version 99", patched(4, &99u32.to_le_bytes()), "version 99"),
        ("big-endian", patched(4, &3u32.to_be_bytes()), "big-endian"),
        ("huge tensor count", patched(8, &huge), "more than its size allows"),
        ("tensor count of 2^40", patched(8, &big), "more than its size allows"),
        ("one tensor more than there is", patched(8, &3u64.to_le_bytes()), ""),
        ("huge metadata count", patched(16, &huge), "more than its size allows"),
        ("huge key length", patched(key - 8, &huge), "cut off"),
        ("key length of 2^40", patched(key - 8, &big), "cut off"),
        ("key that is not UTF-8", patched(key, b"\xff\xfe"), "not UTF-8"),
        ("unknown value type", patched(key + 12, &77u32.to_le_bytes()), "unknown type 77"),
        ("array of unknown type", patched(alpha, &9u32.to_le_bytes()), ""),
        ("huge text", patched(key + 16, &huge), "cut off"),
        ("duplicate key", File::with(|file| file.metadata.push(file.metadata[0].clone())), "`general.type` twice"),
        (
            "alignment 3",
            File::with(|file| file.metadata.push(("general.alignment".to_owned(), Value::Integer(3)))),
            "alignment 3",
        ),
        (
            "alignment 0",
            File::with(|file| file.metadata.push(("general.alignment".to_owned(), Value::Integer(0)))),
            "alignment 0",
        ),
        ("no dimensions", patched(tensor, &0u32.to_le_bytes()), "0 dimensions"),
        ("nine dimensions", patched(tensor, &9u32.to_le_bytes()), "9 dimensions"),
        ("a dimension of zero", patched(tensor + 4, &[0; 8]), "impossible shape"),
        ("dimensions that overflow", patched(tensor + 4, &[huge, huge].concat()), "impossible shape"),
        ("a dimension too large for the file", patched(tensor + 4, &(1u64 << 33).to_le_bytes()), "cut off in tensor"),
        ("an unknown tensor type", patched(tensor + 20, &200u32.to_le_bytes()), "type 200"),
        ("a quantised type", patched(tensor + 20, &2u32.to_le_bytes()), "at offset 256"),
        ("a tensor offset of 1", patched(tensor + 24, &1u64.to_le_bytes()), "at offset 1"),
        ("a huge tensor offset", patched(tensor + 24, &huge), "at offset"),
        ("not an adapter", set("general.type", text("model")), "`general.type` is `model`"),
        ("no type", File::with(|file| drop(file.metadata.remove(0))), "`general.type` is missing"),
        ("type as a number", set("general.type", Value::Integer(1)), "`general.type` is missing"),
        ("not LoRA", set("adapter.type", text("dora")), "`adapter.type` is `dora`"),
        ("no architecture", File::with(|file| drop(file.metadata.remove(1))), "no architecture"),
        ("wrong architecture", set("general.architecture", text("qwen2")), "architecture `qwen2`"),
        ("alpha as text", set("adapter.lora.alpha", text("8")), "not a 32-bit float"),
        ("alpha of NaN", set("adapter.lora.alpha", Value::F32(f32::NAN)), "alpha as NaN"),
        ("negative alpha", set("adapter.lora.alpha", Value::F32(-1.0)), "alpha as -1"),
        (
            "activated LoRA",
            File::with(|file| file.metadata.push(("adapter.alora.invocation_tokens".to_owned(), Value::Integer(1)))),
            "activated",
        ),
        ("no tensors", File::with(|file| file.tensors.clear()), "no pair"),
        ("a missing half", File::with(|file| drop(file.tensors.pop())), "without its other half"),
        ("the other missing half", File::with(|file| drop(file.tensors.remove(0))), "lora_b` without its other half"),
        ("the same tensor twice", File::with(|file| file.tensors.push(file.tensors[0].clone())), "lora_a` twice"),
        (
            "a strange tensor name",
            File::with(|file| "blk.0.attn_v.weight".clone_into(&mut file.tensors[0].0)),
            "neither `.lora_a` nor `.lora_b`",
        ),
        ("a tensor name that ggml cannot take", File::with(|file| file.tensors[0].0 = "x".repeat(64)), "64 bytes"),
        ("one dimension", File::with(|file| file.tensors[0].1 = vec![64]), "two dimensions"),
        ("three dimensions", File::with(|file| file.tensors[0].1 = vec![32, 2, 1]), "two dimensions"),
        (
            "ranks that differ",
            File::with(|file| file.tensors[1] = (file.tensors[1].0.clone(), vec![4, 16], vec![0.25; 64])),
            "rank 2 in its first half and 4",
        ),
        (
            "token embeddings",
            File::with(|file| {
                for (tensor, half) in file.tensors.iter_mut().zip(["a", "b"]) {
                    tensor.0 = format!("token_embd.weight.lora_{half}");
                }
            }),
            "only linear weights",
        ),
        ("NaN", File::with(|file| file.tensors[0].2[5] = f32::NAN), "not finite"),
        ("infinity", File::with(|file| file.tensors[1].2[5] = f32::INFINITY), "lora_b` that is not finite"),
        (
            "a tensor the model has not",
            File::with(|file| {
                for tensor in &mut file.tensors {
                    tensor.0 = tensor.0.replace("blk.0", "blk.9");
                }
            }),
            "does not have",
        ),
        (
            "too few inputs",
            File::with(|file| file.tensors[0] = (file.tensors[0].0.clone(), vec![16, 2], vec![0.5; 32])),
            "16 inputs",
        ),
        (
            "too many outputs",
            File::with(|file| file.tensors[1] = (file.tensors[1].0.clone(), vec![2, 64], vec![0.5; 128])),
            "64 outputs",
        ),
        (
            "another base model",
            File::with(|file| file.metadata.push(("nfold.base.sha256".to_owned(), text(&"ab".repeat(32))))),
            "base model abababababab",
        ),
    ]
}

/// What nfold says of a file, if it refuses it.
fn refusal(world: &World, bytes: &[u8]) -> Option<String> {
    let path = world.write("broken.gguf", bytes);
    let (model, base) = world.base();
    match adapter::read(&path) {
        Err(error) => Some(error.to_string()),
        Ok(adapter) => adapter.check(&model, base).err().map(|error| format!("`{}` {error}", path.display())),
    }
}

#[test]
fn the_unbroken_file_is_taken() {
    assert_eq!(refusal(&World::new(), &File::good().bytes()), None);
}

#[test]
fn every_mutation_is_refused_with_its_own_message() {
    let world = World::new();
    let mutations = mutations();
    assert!(mutations.len() >= 50);
    for (name, bytes, expected) in mutations {
        let said = refusal(&world, &bytes).unwrap_or_else(|| panic!("{name}: taken"));
        assert!(said.contains("broken.gguf"), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let world = World::new();
    let bytes = File::good().bytes();
    for length in 0..bytes.len() {
        assert!(refusal(&world, &bytes[..length]).is_some(), "cut to {length} bytes");
    }
}

#[test]
fn no_flipped_bit_crashes_the_reader() {
    let world = World::new();
    let bytes = File::good().bytes();
    let header = bytes.len() - 512;
    for place in 0..header {
        for bit in [0, 3, 7] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            // Refused or not, it must come back with an answer.
            let _ = refusal(&world, &flipped);
        }
    }
}

#[test]
fn every_number_format_reads_back() {
    let world = World::new();
    let adapter = tiny::adapter(1, 2, 4.0);
    let path = world.write_adapter("good.gguf", &adapter);
    assert_eq!(adapter::read(&path).unwrap(), adapter);
    // A number beyond F16 makes its tensor F32.
    let mut large = adapter.clone();
    large.pairs.get_mut("blk.0.attn_v.weight").unwrap().a = adapter::Matrix::filled(2, 32, 1e6);
    let path = world.write_adapter("large.gguf", &large);
    assert_eq!(adapter::read(&path).unwrap(), large);
    let file = nfold::gguf::File::open(&path).unwrap();
    let kinds: std::collections::HashSet<_> = file.tensors().iter().map(|tensor| tensor.tensor_type).collect();
    assert_eq!(kinds.len(), 2);
}
