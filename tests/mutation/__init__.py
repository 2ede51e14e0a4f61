"""What `make mutants` needs beside mutmut: which mutants change a text only, and the table in `docs/quality.md`."""
