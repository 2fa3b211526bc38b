"""Makes the PEFT fixtures in this folder: pip install torch transformers peft==0.21.2; python make.py

The base is the tiny model of tests/support/tiny.rs as Hugging Face stores it: the same numbers, with the rows of q and k
in halves instead of interleaved. What is written: three adapter folders as PEFT saves them, PEFT's own merges of the
first two (`merges.json`), and the logits of the base with each adapter for a short text (`logits.json`).
"""

import json
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
EMBEDDING, FEED_FORWARD, VOCABULARY, HEADS = 32, 64, 260, 2
MASK = (1 << 64) - 1


class Noise:
    """The generator of tests/support/tiny.rs."""

    def __init__(self, seed):
        self.state = (seed * 0x9E3779B97F4A7C15 & MASK) | 1

    def next(self):
        self.state ^= self.state << 13 & MASK
        self.state ^= self.state >> 7
        self.state ^= self.state << 17 & MASK
        return (self.state >> 48) / 32768.0 - 1.0

    def matrix(self, rows, columns, scale):
        numbers = [np.float32(self.next()) * np.float32(scale) for _ in range(rows * columns)]
        return np.array(numbers, np.float32).astype(np.float16).astype(np.float32).reshape(rows, columns)


def in_halves(matrix):
    """Undoes the interleaving of GGUF: row 2·i + j of a head becomes row j·d/2 + i."""
    rows, columns = matrix.shape
    return matrix.reshape(HEADS, rows // HEADS // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def base_model():
    config = LlamaConfig(
        hidden_size=EMBEDDING, intermediate_size=FEED_FORWARD, num_hidden_layers=1, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, vocab_size=VOCABULARY, rms_norm_eps=1e-5, rope_theta=10000.0,
        max_position_embeddings=256, tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).float().eval()
    noise = Noise(7)
    square, up, down = (EMBEDDING, EMBEDDING), (FEED_FORWARD, EMBEDDING), (EMBEDDING, FEED_FORWARD)
    layer = model.model.layers[0]
    linear = [
        (layer.self_attn.q_proj, square, in_halves), (layer.self_attn.k_proj, square, in_halves),
        (layer.self_attn.v_proj, square, None), (layer.self_attn.o_proj, square, None),
        (layer.mlp.gate_proj, up, None), (layer.mlp.up_proj, up, None), (layer.mlp.down_proj, down, None),
        (model.model.embed_tokens, None, None), (model.lm_head, None, None),
    ]
    with torch.no_grad():
        for module, shape, reorder in linear:
            matrix = noise.matrix(*(shape or (VOCABULARY, EMBEDDING)), 0.5 if shape else 1.0)
            module.weight.copy_(torch.from_numpy(reorder(matrix) if reorder else matrix))
    return model


MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "first": LoraConfig(r=4, lora_alpha=8, target_modules=MODULES),
    "second": LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=MODULES),
    "patterns": LoraConfig(
        r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"v_proj": 3}, alpha_pattern={r"layers\.0\.mlp\.down_proj": 7},
    ),
}
MERGES = [
    ("linear", [1.0, 1.0]), ("linear", [0.5, 0.5]), ("linear", [0.7, -0.3]),
    ("cat", [1.0, 1.0]), ("cat", [0.25, 0.75]), ("cat", [0.7, -0.3]),
]


def main():
    torch.manual_seed(3)
    text = "Fold once, read twice."
    # Bytes are tokens 3 to 258; llama.cpp's `llama` tokenizer puts BOS and a space (token 259) in front.
    tokens = torch.tensor([[1, 259] + [259 if c == " " else 3 + ord(c) for c in text]])
    logits = {}
    for name, config in ADAPTERS.items():
        model = get_peft_model(base_model(), config)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_" in key:
                    parameter.copy_((torch.rand_like(parameter) - 0.5).half().float())
            logits[name] = [round(x, 5) for x in model(tokens).logits[0, -1].tolist()]
        model.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink(missing_ok=True)
        if name == "first":
            both = model
    both.load_adapter(HERE / "second", "second")
    merges = []
    for index, (method, weights) in enumerate(MERGES):
        both.add_weighted_adapter(["default", "second"], weights, f"merge{index}", combination_type=method)
        module = both.base_model.model.model.layers[0].self_attn.v_proj
        delta = module.get_delta_weight(f"merge{index}").detach().numpy()
        merges.append({"method": method, "weights": weights, "delta": [[float(f"{x:.7g}") for x in row] for row in delta.tolist()]})
    (HERE / "merges.json").write_text(json.dumps(merges) + "\n")
    (HERE / "logits.json").write_text(json.dumps(logits) + "\n")


if __name__ == "__main__":
    main()
