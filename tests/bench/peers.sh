#!/usr/bin/env bash
# Builds llama.cpp's own llama-bench, llama-batched-bench and llama-completion into target/peers, to measure beside.
#
# Library: the sources inside the llama-cpp-sys-2 crate that nfold links, built with the same flags. The crate carries
# no tool sources; those three folders come from the llama-cpp-python source package, whose llama.cpp is a few days off.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${CARGO_TARGET_DIR:-target}/peers
tools_package=llama-cpp-python==0.3.36
if [ -x "$work/bin/llama-bench" ] && [ -x "$work/bin/llama-batched-bench" ] && [ -x "$work/bin/llama-completion" ]; then
  exit 0
fi
mkdir -p "$work"
manifest=$(cargo metadata --format-version 1 --locked | python3 -c '
import json, sys
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "llama-cpp-sys-2"))')
rm -rf "$work/src"
cp -r "$(dirname "$manifest")/llama.cpp" "$work/src"
[ -f "$work"/llama_cpp_python-*.tar.gz ] || python3 -m pip download -q --no-deps --no-binary llama-cpp-python -d "$work" "$tools_package"
tar xzf "$work"/llama_cpp_python-*.tar.gz -C "$work" --wildcards '*/vendor/llama.cpp/tools/*'
: > "$work/src/tools/CMakeLists.txt"
for tool in llama-bench batched-bench completion; do
  cp -r "$work"/llama_cpp_python-*/vendor/llama.cpp/tools/$tool "$work/src/tools/"
  echo "add_subdirectory($tool)" >> "$work/src/tools/CMakeLists.txt"
done
rm -rf "$work"/llama_cpp_python-*/
case $(uname -m) in
  x86_64) simd="-DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_BMI2=ON -DGGML_F16C=ON -DGGML_FMA=ON" ;;
  *) simd= ;;
esac
# shellcheck disable=SC2086
cmake -S "$work/src" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF $simd \
  -DGGML_OPENMP=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF
cmake --build "$work/build" -j "$(nproc)" --target llama-bench llama-batched-bench llama-completion
mkdir -p "$work/bin"
cp "$work"/build/bin/llama-{bench,batched-bench,completion} "$work/bin/"
