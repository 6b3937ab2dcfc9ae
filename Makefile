# Every target sets up what it needs: Python 3.11 or newer, make and PyPI are enough.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help env lock gen format check lint types contract imports test nightly demo noisy-neighbours bench compatibility clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

env: .venv/ready ## the environment, from the lock file
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lock: ## solve pyproject.toml again into requirements.lock
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	for client in 1.13 1.14 1.15; do .venv-lock/bin/uv pip compile tests/compatibility/flytekit-$$client.in --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		-o tests/compatibility/flytekit-$$client.lock || exit; done
	rm -r .venv-lock

gen: .venv/ready ## stubs and the table of who may call what, from the contract
	$(BIN)/python protos/generate.py gen
	$(BIN)/python protos/authorization.py

format: .venv/ready ## code and contract, formatted
	$(BIN)/ruff format server client tests bench examples protos && $(BIN)/ruff check --fix-only --quiet server client tests bench examples protos
	$(BIN)/buf format -w protos

check: lint types imports contract test ## everything CI checks

lint: .venv/ready
	$(BIN)/ruff format --check server client tests bench examples protos
	$(BIN)/ruff check server client tests bench examples protos

types: .venv/ready
	$(BIN)/mypy

imports: .venv/ready
	$(BIN)/lint-imports

contract: .venv/ready ## lint, format and breaking changes of the contract; what is generated is fresh
	$(BIN)/buf lint protos
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf breaking protos --against protos/released.binpb
	$(BIN)/python protos/generate.py --check gen
	$(BIN)/python protos/authorization.py --check

test: .venv/ready ## every test
	$(BIN)/pytest -n 2 --dist loadfile

nightly: .venv/ready ## the random tests, for long: a million decisions, long walks of two tenants
	RANDOM_DECISIONS=1000000 RANDOM_CALLS=100000 RANDOM_SEED=$${RANDOM_SEED:-$$(date +%F)} $(BIN)/pytest --timeout 3600 \
		tests/access/test_access_decide.py tests/isolation/test_two_tenants.py

demo: .venv/ready ## the whole story on a real server; KEEP=1 leaves it running
	$(BIN)/python examples/demo.py $(if $(KEEP),--keep)

noisy-neighbours: .venv/ready ## bad tenants in development, and what production notices of them; three minutes at most
	$(BIN)/python examples/noisy_neighbours.py

bench: .venv/ready ## ratios measured in one run
	$(BIN)/python -m bench

compatibility: .venv/ready .venv-clients/1.13 .venv-clients/1.14 .venv-clients/1.15 ## docs/compatibility.md, from a run of every client
	PYTHONPATH=tests/e2e $(BIN)/python tests/compatibility/matrix.py

.venv-clients/%: tests/compatibility/flytekit-%.lock
	rm -rf $@ && $(PYTHON) -m venv $@
	$@/bin/pip install --quiet --require-hashes -r $<
	@touch $@

clean:
	rm -rf .venv .venv-clients .mypy_cache .ruff_cache .pytest_cache
