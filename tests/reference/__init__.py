"""docs/api.md and docs/cli.md, written from the code: `make docs`. A test holds them fresh."""
