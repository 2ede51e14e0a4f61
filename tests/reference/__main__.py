"""Write the pages."""

from pathlib import Path

from tests.reference import api, cli, metrics

DOCS = Path(__file__).parents[2] / "docs"

if __name__ == "__main__":
    (DOCS / "api.md").write_text(api.render())
    (DOCS / "cli.md").write_text(cli.render())
    (DOCS / "metrics.md").write_text(metrics.render())
