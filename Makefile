# `make demo` and `make test` fetch what they need (scripts/setup) and work on a fresh clone.
.PHONY: help setup demo test test-c-full test-python-full test-ui test-packages deb screenshots bench torture soak fmt lint header abi reference book install clean

help:
	@echo 'make demo      the main job on real remotes: pool, upload, lose a remote, read back'
	@echo 'make test      everything that must hold before a change goes in'
	@echo 'make test-python-full  the Python tests, with pandas, pyarrow, xarray, pip from a checkout, 10 GiB, too'
	@echo 'make test-c-full   what needs more time or tools of the C library: sanitizers, valgrind, fuzzing, abidiff, CMake, Doxygen'
	@echo 'make test-ui   only the web page, in a browser'
	@echo 'make screenshots   pictures of the web page into target/screenshots; two of them into docs'
	@echo 'make lint      only the checks that run no test'
	@echo 'make fmt       format all sources'
	@echo 'make bench     speed, memory and requests against other tools'
	@echo 'make torture   random operations on failing remotes: SEED=1 SEEDS=1000, or MINUTES=10'
	@echo 'make soak      200 WebDAV clients at once on a failing remote: MINUTES=1'
	@echo 'make test-packages  what users install: image, Debian packages, make install, workflows; needs root and the network'
	@echo 'make install   the program with its manual, and the C and C++ library: PREFIX=/usr/local'
	@echo 'make deb       Debian packages, into target/debian'
	@echo 'make header    write include/rclonepool.h anew from ffi/src'
	@echo 'make abi       write the baseline of the C ABI anew: only where it may break'
	@echo 'make reference the reference of the C and C++ API, into target/reference'
	@echo 'make book      the documentation as a site, into target/book'
	@echo 'make setup     fetch the tools into .venv and .tools'
	@echo 'make clean     remove all that was built or fetched'

setup:
	scripts/setup

demo:
	scripts/demo

test:
	scripts/test

test-python-full:
	scripts/test python_full

test-c-full:
	scripts/test c-full

test-ui:
	scripts/test ui

screenshots: setup
	cargo build --locked --workspace --all-features --bin rclonepool
	.venv/bin/python tests/ui/screenshots.py

lint:
	scripts/test fmt shell ruff mypy deny clippy doc

fmt: setup
	cargo fmt --all
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

bench:
	scripts/bench

torture:
	cargo run --locked --release -p rclonepool-cli -- torture --seed $(or $(SEED),1) \
		$(if $(MINUTES),--minutes $(MINUTES),--seeds $(or $(SEEDS),1000))

# Built as `make test` builds it.
soak:
	RCLONEPOOL_SOAK_MINUTES=$(or $(MINUTES),1) cargo test --locked --workspace --all-features --test dav \
		a_crowd_loses_nothing -- --nocapture

header:
	RCLONEPOOL_BLESS=1 cargo test --all-features -p rclonepool-tests --test e2e header_is_that_of_the_sources

abi:
	scripts/setup c
	cargo build --locked --workspace --all-features --lib --bins
	RCLONEPOOL_BLESS=1 cargo test --locked --workspace --all-features --test c_full abi_is_that_of_the_baseline

reference:
	mkdir -p target/reference
	RCLONEPOOL_REFERENCE=target/reference doxygen docs/Doxyfile

book:
	scripts/test book

install:
	PREFIX="$(or $(PREFIX),/usr/local)" scripts/install-program
	PREFIX="$(or $(PREFIX),/usr/local)" scripts/install

deb:
	scripts/deb

test-packages:
	scripts/test-packages

clean:
	rm -rf target .venv .tools
