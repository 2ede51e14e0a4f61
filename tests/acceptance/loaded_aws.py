"""
Runs `aws` commands: reads each as a line of JSON, its arguments and variables, and answers status, output and errors.

A program of its own: awscli changes the environment of the process that imports it.
"""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from awscli.clidriver import create_clidriver


def run(arguments: list[str], variables: dict[str, str], loader: Any) -> tuple[int, str, str]:
    """Do what the script `aws` does; a session of its own knows nothing of the command before."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = dict(os.environ)
    os.environ.update(variables)
    with redirect_stdout(output), redirect_stderr(errors):
        driver = create_clidriver()
        driver.session.register_component("data_loader", loader)
        try:
            status = driver.main(arguments)
        except SystemExit as ended:
            status = ended.code
    os.environ.clear()
    os.environ.update(before)
    return status, read(output), read(errors)


def read(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


if __name__ == "__main__":
    # It remembers the service models that it has read: to read EC2's takes longer than a command.
    remembering = create_clidriver().session.get_component("data_loader")
    for line in sys.stdin:
        arguments, variables = json.loads(line)
        sys.stdout.write(json.dumps(run(arguments, variables, remembering)) + "\n")
        sys.stdout.flush()
