"""
`python -m producer.local_stack.tied` is `prelaunch`, tied to whoever holds the other end of its standard input.

A starter that is killed ends nothing by itself, and leaves a worker that goes on against nothing. Only its pipe closes.
"""

import os
import signal
import threading

from producer.cli import main


def _stop_at_end_of_input() -> None:
    # A command may block the signal, to wait for it: here it would still end the process, and at once.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_at_end_of_input, name="stdin", daemon=True).start()
    main()
