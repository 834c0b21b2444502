# nuvlaops: the two commands are `make demo` and `make test`. Each sets up all that it needs; a second run reuses it.
#
#   make demo [ARGS=-keep]     a whole disaster recovery, on real servers, on realistic data
#   make test [PKG=./zkjobs]   everything, unit and real
#   make bench [BENCH=regexp]  speed, each figure beside something that was run in the same run
#   make lint                  gofmt, vet, staticcheck, tidy
#   make image [IMAGE=a:b]     the container image of the example programs
#   make images                the images of the test servers
#   make clean                 remove exactly what carries our label on the engine, and what was built here

GO          ?= go
BIN         := $(CURDIR)/.bin
PKG         ?= ./...
PARALLEL    ?= 4
BENCH       ?= .
COUNT       ?= 5
IMAGE       ?= nuvlaops:dev
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM   := gotest.tools/gotestsum@v1.13.0
# The race detector needs a C compiler; a machine without one tests without it.
RACE        := $(shell command -v $${CC:-gcc} >/dev/null && echo -race)
# All that is built is built in one of two ways, so that no package is compiled in a third: as the container image has it, or
# for the race detector.
STATIC      := CGO_ENABLED=0 GOFLAGS=-trimpath

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint image images engine clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# What assembles images is installed on Debian as root, also where an engine answers already; elsewhere the error says what.
engine:
	@bash internal/testenv/scripts/engine.sh
	@if [ "$$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then bash internal/testenv/scripts/engine.sh --tools; fi

images: engine
	@$(STATIC) $(GO) run ./internal/testenv/images/cmd/images -all

image: engine
	@bash examples/image/build.sh $(IMAGE)

demo: engine
	@$(STATIC) $(GO) build -o $(BIN)/demo ./examples/demo
	@$(STATIC) $(GO) build -o $(BIN)/disaster-recovery ./examples/disaster-recovery
	@exec $(BIN)/demo -program $(BIN)/disaster-recovery $(ARGS)

# Four packages at a time fill two cores (477 s with all built, where three took 552 s and filled them to nine tenths). -p holds
# for compiling too, so that comes first. The longest start first, so that none of them ends alone.
# A failed test runs once more, since the machines are shared and noisy. One that passes only then is named at the end: it
# is a defect all the same. More than eight failures are not run again. "make lint" vets what is tested here.
test: FIRST = $(if $(filter ./...,$(PKG)),./restore ./examples/demo ./internal/testenv/images ./snapshot ./zkjobs ./stack \
  ./examples/backup ./internal/testenv ./examples/restore ./examples ./examples/rebuild-queue)
test: images $(BIN)/gotestsum
	@$(GO) build $(RACE) ./...
	@rm -f $(BIN)/again
	@$(BIN)/gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --rerun-fails=1 --rerun-fails-max-failures=8 \
	  --rerun-fails-report $(BIN)/again --packages '$(strip $(FIRST) $(PKG))' -- $(RACE) -vet=off -count=1 -p $(PARALLEL) -timeout 60m
	@if [ -s $(BIN)/again ]; then echo "passed only when run again, to be mended:"; cat $(BIN)/again; fi

bench: images
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 1x -count $(COUNT) -p 1 -timeout 60m $(PKG)

lint: $(BIN)/staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(RACE) ./...
	GOFLAGS=$(RACE) $(BIN)/staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) mod verify

# Tools carry their version in the name of the module, so that a new pin is a new build.
$(BIN)/staticcheck $(BIN)/gotestsum: Makefile
	$(STATIC) GOBIN=$(BIN) $(GO) install $(if $(findstring staticcheck,$@),$(STATICCHECK),$(GOTESTSUM))
	@touch $@

clean:
	@rm -rf $(BIN)
	@$(STATIC) $(GO) run ./internal/testenv/cmd/clean
