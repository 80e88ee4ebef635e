# Measurements. Peers that are not installed are left out, and named.
BENCH := build/bench
GO_BUILD := GO111MODULE=off GOPATH=/usr/share/gocode go build

.PHONY: bench bench-long bench-movement bench-migrate bench-storm bench-parts

bench: bench-parts ## How fast the relay is beside its peers, in a few minutes
	$(BIN)/python -m bench.run --short

bench-long: bench-parts ## The same with more repeats, for docs/performance.md
	$(BIN)/python -m bench.run

bench-movement: $(VENV)/dev demo/node_modules/.ready ## How soon a step is seen in another browser
	@$(BIN)/python -m bench.movement

bench-migrate: $(VENV)/dev ## 1,000 people move to another relay on SIGTERM (PEOPLE=…)
	@$(BIN)/python -m bench.moves migrate $(if $(PEOPLE),--people $(PEOPLE))

bench-storm: $(VENV)/dev ## 2,000 people of a killed relay come to one where others are (PEOPLE=…)
	@$(BIN)/python -m bench.moves storm $(if $(PEOPLE),--people $(PEOPLE))

bench-parts: $(VENV)/dev $(BENCH)/load $(BENCH)/floor
	@command -v redis-server taskset > /dev/null || { echo "make bench needs redis-server and taskset"; exit 1; }
	@for peer in go_nhooyr go_gorilla; do \
	  if test ! -x $(BENCH)/$$peer -o bench/peers/$$peer.go -nt $(BENCH)/$$peer; then \
	    $(GO_BUILD) -o $(BENCH)/$$peer bench/peers/$$peer.go 2> /dev/null || echo "cannot build $$peer: Go and its Debian package are missing"; fi; done
	@test -d bench/peers/node_modules || npm --prefix bench/peers ci --silent --no-audit --no-fund || echo "the Node peers are not installed"

$(BENCH)/load: bench/load.c
	@mkdir -p $(BENCH) && cc -O2 -Wall -Wextra -o $@ $< -lm

$(BENCH)/floor: bench/peers/floor.c
	@mkdir -p $(BENCH) && cc -O2 -Wall -Wextra -o $@ $<
