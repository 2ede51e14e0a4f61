"""Where a command begins and ends: one line and one exit status for whatever stops it, Ctrl-C too."""

import sys

from producer.cli.answer import ExitStatus, complain
from workers.core.errors import PrelaunchError


def main() -> None:
    """Run the command line, and end with a status that a script can act on."""
    try:
        # Most of a command's first second goes into this, and Ctrl-C is pressed then too.
        from producer.cli.app import app  # noqa: PLC0415  # see above

        app()
    except PrelaunchError as error:
        complain(error.message)
        sys.exit(ExitStatus.NOT_REACHABLE)
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
