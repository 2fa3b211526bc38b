"""Makes the gradient fixture in this folder: pip install torch transformers peft==0.21.2; python make.py

PyTorch's gradients of the mean cross-entropy over output tokens, for the tiny model of tests/support/tiny.rs with the
adapter ../peft/first. They are stored as a PEFT folder themselves (`gradients/`), each in its factor's place, so that they
are read and permuted as adapters are; the loss and the tokens are in `loss.json`.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peft"))
from make import base_model  # noqa: E402

PAIRS = [("What is folded once?", " A letter."), ("Say it", " twice, then once more"), ("Zürich, 12 o'clock:", " ok")]


def tokens(text):
    return [3 + byte for byte in text.encode()]


def main():
    model = PeftModel.from_pretrained(base_model(), HERE.parent / "peft" / "first", is_trainable=True)
    total, count, examples = 0.0, 0, []
    for prompt, output in PAIRS:
        prompt, output = [1, *tokens(prompt)], [*tokens(output), 2]
        examples.append({"prompt": prompt, "output": output})
        logits = model(torch.tensor([prompt + output[:-1]])).logits[0, len(prompt) - 1:]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(output), reduction="sum")
        count += len(output)
    loss = total / count
    loss.backward()
    gradients = {
        name.replace(".default", ""): parameter.grad.contiguous()
        for name, parameter in model.named_parameters() if "lora_" in name
    }
    folder = HERE / "gradients"
    folder.mkdir(exist_ok=True)
    save_file(gradients, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    shutil.copy(HERE.parent / "peft" / "first" / "adapter_config.json", folder)
    (HERE / "loss.json").write_text(json.dumps({"loss": loss.item(), "examples": examples}) + "\n")


main()
