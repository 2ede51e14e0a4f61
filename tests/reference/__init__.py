"""docs/api.md, docs/cli.md and docs/metrics.md, written from the code: `make docs`. A test holds them fresh."""
