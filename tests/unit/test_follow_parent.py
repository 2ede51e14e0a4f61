"""A worker process ends with its parent, also with one that has ended before it could be followed."""

import subprocess
import sys

ORPHAN = """
import multiprocessing, os, signal, time
from workers.boot import follow_parent

def work(parent, booted):
    while not booted._cond._sleeping_count.get_value():
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        time.sleep(0.01)
    try:
        follow_parent()
        print("goes on", flush=True)
    finally:
        # As dramatiq's CLI does, whatever happens; who waits for it is dead, and never says that it woke up.
        booted.set()

context = multiprocessing.get_context("fork")
booted = context.Event()
process = context.Process(target=work, args=(os.getpid(), booted))
process.start()
booted.wait()
"""


def test_an_orphan_does_not_go_on() -> None:
    """Its parent is killed between the fork and the moment from which the kernel would tell: it ends by itself."""
    ended = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout == ""
