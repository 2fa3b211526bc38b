# Two commands for newcomers: `make demo` and `make test`. `make bench` measures.

CARGO ?= cargo
BIN = $(or $(CARGO_TARGET_DIR),target)/release/nfold

.PHONY: build model demo test bench

build:
	@.scripts/need-build-tools
	@$(CARGO) build --release --locked --quiet

# The default model in the user's data folder, fetched once and checked by hash.
model: build
	@.scripts/need-model $(BIN)

# The main job: a document becomes a Spanish summary, in one pass with two merged and calibrated adapters.
demo: model
	@echo "\$$ nfold summarize tests/data/sample.txt --to es --stats"
	@$(BIN) summarize tests/data/sample.txt --to es --stats

test: model
	@.scripts/need-test-tools
	@$(CARGO) fmt --check
	@$(CARGO) clippy --release --locked --all-targets --quiet -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps --quiet
	@$(CARGO) deny --locked --log-level error check licenses bans sources
	@INSTA_UPDATE=no $(CARGO) test --release --locked

bench: model
	@[ -n "$(filter training interface,$(ONLY))" ] || tests/bench/peers.sh
	@[ -n "$(filter inference interface,$(ONLY))" ] || tests/bench/pytorch.sh
	@$(CARGO) bench --locked --quiet --bench speed -- $(ONLY)
