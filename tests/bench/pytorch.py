"""One training step after another with PyTorch and PEFT, on the batch that nfold is given: what its speed is held to.

    pytorch.py MODEL.gguf DATA.jsonl EXAMPLES RANK STEPS THREADS DTYPE

Prints one line of JSON: tokens per second of each step (without padding, prompts included) and the loss of each.
"""

import json
import sys
import time

import gguf
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}


def renamed(name):
    if not name.startswith("blk."):
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def base_model(path, dtype):
    reader = gguf.GGUFReader(path)

    def value(key):
        return reader.fields[f"llama.{key}"].contents()

    heads = {"attn_q": value("attention.head_count"), "attn_k": value("attention.head_count_kv")}
    weights = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
        part = tensor.name.split(".")[-2]
        if part in heads:  # GGUF interleaves the halves of each head
            weight = weight.reshape(heads[part], -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
        weights[renamed(tensor.name)] = weight
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(weights["model.embed_tokens.weight"]), hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=heads["attn_q"], num_key_value_heads=heads["attn_k"], tie_word_embeddings=True,
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"), rope_theta=value("rope.freq_base"),
    ))
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    return model.to(dtype)


def main():
    model_path, data, examples, rank, steps, threads, dtype = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(7)
    folder, _, file = model_path.rpartition("/")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    rows = [json.loads(line) for line in open(data, encoding="utf-8")][:int(examples)]
    sequences = []
    for row in rows:
        prompt = f"<|im_start|>user\nSummarize the following text.\n\n{row['text']}<|im_end|>\n<|im_start|>assistant\n"
        prompt = tokenizer(prompt, add_special_tokens=False).input_ids
        sequences.append((prompt, tokenizer(row["summary"]["en"] + "<|im_end|>", add_special_tokens=False).input_ids))
    width = max(len(prompt) + len(output) for prompt, output in sequences)
    ids, mask = torch.full((len(sequences), width), 2), torch.zeros(len(sequences), width, dtype=torch.long)
    labels = torch.full((len(sequences), width), -100)
    for row, (prompt, output) in enumerate(sequences):
        whole = prompt + output
        ids[row, :len(whole)], mask[row, :len(whole)] = torch.tensor(whole), 1
        labels[row, len(prompt):len(whole)] = torch.tensor(output)
    count, labels = int(mask.sum()) - len(sequences), labels[:, 1:]
    model = get_peft_model(base_model(model_path, getattr(torch, dtype)), LoraConfig(
        r=int(rank), lora_alpha=2 * int(rank), task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    ))
    inner = model.base_model.model
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=4e-4, weight_decay=0.0)
    speeds, losses = [], []
    for _ in range(int(steps)):
        started = time.perf_counter()
        hidden = inner.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        wanted = labels != -100
        loss = torch.nn.functional.cross_entropy(inner.lm_head(hidden[wanted]).float(), labels[wanted])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        speeds.append(count / (time.perf_counter() - started))
        losses.append(loss.item())
    print(json.dumps({"tokens": count, "tokens_per_second": speeds, "losses": losses}))


main()
