"""The command line's own laws."""

from typer.testing import CliRunner

from producer.cli import app


def test_version_is_printed_alone() -> None:
    """`--version` prints the name and the version and exits 0."""
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == "prelaunch 0.1.0\n"
