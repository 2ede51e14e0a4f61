"""What the demo and `prelaunch serve` start ends with them."""

from pathlib import Path

from producer.local_stack.processes import start_prelaunch
from tests.acceptance.commands import PATIENCE_SECONDS, make_environment


def test_a_command_ends_in_order_with_its_starter(tmp_path: Path) -> None:
    """When the starter's end of the pipe closes, as it does at SIGKILL: by SIGTERM, as a service manager would."""
    with (tmp_path / "log").open("w+") as log:
        running = start_prelaunch(make_environment(), log, "local", "--port", "0")
        try:
            assert running.process.stdout
            assert running.process.stdout.readline().startswith("export ")
            assert running.poll() is None
            assert running.process.stdin
            running.process.stdin.close()
            assert running.process.wait(PATIENCE_SECONDS) == 0
        finally:
            running.kill()
            running.stop()
    assert (tmp_path / "log").read_text() == ""
