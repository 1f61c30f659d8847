# Two commands are for everybody: `make demo` and `make test`. The others are for whoever works on it.
.PHONY: demo test check bench kube packages

PROGRAMS = --workspace --bins

# The story on this machine: hub, 12 simulated clusters, a good commit, a bad one, why, rollback.
# DEMO_ONCE=1 tells it once and exits.
demo:
	cargo build --locked --quiet $(PROGRAMS)
	target/debug/demo

# Every test, also those against real API servers.
test: packages kube
	cargo build --locked $(PROGRAMS)
	cargo test --locked --workspace --no-fail-fast

# The quick loop: format, lints, the rules of the house, pure and shell tests; no real cluster.
check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked -p model -p proto -p rollout -p plan -p render -p ctl --quiet
	cargo test --locked -p integration --test tidy --quiet

# Speed, memory, bytes and requests, as tables; of the agent as it is shipped.
bench: kube
	cargo build --locked --release $(PROGRAMS)
	cargo build --locked --profile agent --package agent --bins
	cp target/agent/tidegate-agent target/release/
	target/release/bench

# The programs of a real Kubernetes, for the tests, in ./bin (or those of KUBEBUILDER_ASSETS).
kube:
	@integration/kubernetes/build

# Packages of the operating system that the tests need, named in one file.
packages:
	@integration/packages/install
