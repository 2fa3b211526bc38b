#!/usr/bin/env bash
# Installs PyTorch and PEFT into target/peers/python, to measure training beside.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=${CARGO_TARGET_DIR:-target}/peers/python
if [ -x "$place/bin/python" ] && "$place/bin/python" -c 'import torch, peft, gguf' 2>/dev/null; then
  exit 0
fi
python3 -m venv "$place"
# PyTorch's own index has builds without CUDA, a tenth of the size; where it cannot be reached the usual one will do.
"$place/bin/pip" install -q torch --index-url https://download.pytorch.org/whl/cpu 2>/dev/null || "$place/bin/pip" install -q torch
"$place/bin/pip" install -q numpy 'peft==0.21.2' transformers gguf sentencepiece protobuf
