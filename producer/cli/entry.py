"""Where a command begins and ends: one line and one exit status for whatever stops it, Ctrl-C too."""

import os
import sys
from pathlib import Path

from producer.cli.answer import ExitStatus, complain
from workers.core.errors import PrelaunchError


def main() -> None:
    """Run the command line, and end with a status that a script can act on."""
    open_closed_streams()
    try:
        # Most of a command's first second goes into this, and Ctrl-C is pressed then too.
        from producer.cli.app import app  # noqa: PLC0415  # see above

        app()
    except PrelaunchError as error:
        complain(error.message)
        sys.exit(ExitStatus.NOT_REACHABLE)
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
    except SystemExit as ended:
        # typer ends with 1 then, as if something had failed.
        if isinstance(ended.__context__, BrokenPipeError):
            sys.exit(ExitStatus.PIPE_CLOSED)
        raise


def open_closed_streams() -> None:
    """Put nothing in the place of each standard stream that the command was started without."""
    # In this order, and before anything else is opened: each takes the number that is free, which is its own. A socket
    # that got the number of standard error would be sent the log of every process that is started later.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Python leaves a name without a stream where its descriptor is closed.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # open until the end
