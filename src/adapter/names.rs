//! From the names of Hugging Face's modules to those of GGUF.

/// The linear modules of a block: Hugging Face's name and GGUF's.
const MODULES: [(&str, &str); 7] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// The base tensor that a module's weight is in GGUF: `blk.3.attn_q.weight` for `model.layers.3.self_attn.q_proj`.
pub(super) fn gguf_target(module: &str) -> Option<String> {
    if module == "lm_head" {
        return Some("output.weight".to_owned());
    }
    let rest = module.strip_prefix("model.layers.")?;
    let (layer, rest) = rest.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (_, name) = MODULES.iter().find(|known| known.0 == rest)?;
    Some(format!("blk.{layer}.{name}.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_modules_have_a_target_and_others_none() {
        assert_eq!(gguf_target("model.layers.3.mlp.down_proj").as_deref(), Some("blk.3.ffn_down.weight"));
        assert_eq!(gguf_target("model.layers.3.mlp.router"), None);
        assert_eq!(gguf_target("model.embed_tokens"), None);
    }
}
