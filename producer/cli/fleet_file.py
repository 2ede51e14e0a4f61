"""The file of a fleet at the command line: read with its lines, written whole or not at all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from producer.cli.answer import print_json, print_text
from producer.cli.file import read_bytes
from producer.cli.options import read_settings
from producer.cli.whole_file import FileUnwritable, WholeFile
from producer.main import find_regions
from producer.strict_yaml import Node, dump_yaml, locate, parse_yaml
from workers.core.fleet.file import FleetText, parse_fleet
from workers.core.model.errors import InvalidBody
from workers.core.model.launch_config import Json
from workers.core.requests import RequestRefused

MAX_FLEET_BYTES = 64 * 1024 * 1024
"""Every source server of a large installation fits, each with overrides."""

FleetFile = Annotated[
    str, typer.Option("--file", "-f", metavar="FILE", help="The fleet as YAML or JSON; - stands for standard input.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where it is written. Default: standard output."),
]


@dataclass(frozen=True, slots=True)
class ReadFleet:
    """A file that was read."""

    text: FleetText
    root: Node

    @contextmanager
    def locating(self) -> Iterator[None]:
        """
        Give what is refused in the block the lines of the file.

        Yields:
            Nothing, once.
        """
        try:
            yield
        except InvalidBody as error:
            raise InvalidBody(locate(error.errors, self.root)) from error
        except RequestRefused as error:
            error.errors = locate(error.errors, self.root)
            raise


def read_fleet(name: str) -> ReadFleet:
    """
    Read a fleet's file.

    Parameters:
        name: The file's name; - stands for standard input.

    Returns:
        What stands in it, right or wrong.

    Raises:
        RequestRefused: It cannot be read.
        InvalidBody: It is no YAML.
    """
    root = parse_yaml(read_bytes(name, MAX_FLEET_BYTES))
    return ReadFleet(parse_fleet(root.to_json(), regions=find_regions(read_settings())), root)


@contextmanager
def opening(output: str | None) -> Iterator[WholeFile | None]:
    """
    Find out whether a fleet's file can be written, before anything is asked for that is to stand in it.

    Parameters:
        output: The file's name; None for standard output.

    Yields:
        The file; None for standard output.

    Raises:
        RequestRefused: It cannot be written.
    """
    file = None
    try:
        file = WholeFile(output, "the file") if output is not None else None
        yield file
    except FileUnwritable as error:
        raise RequestRefused(f"T{str(error)[1:]}.", code="INVALID_BODY") from error
    finally:
        if file is not None:
            file.close()


def write_fleet(document: Mapping[str, Json], *, file: WholeFile | None, head: str, as_json: bool) -> None:
    """
    Write a fleet's file; one that is there is replaced whole, or stays as it was.

    Parameters:
        document: What it holds.
        file: The file; None for standard output.
        head: What stands above it as a comment, a line or several.
        as_json: Whether it is written as JSON, which has no comments.
    """
    if file is None and as_json:
        print_json(document)
        return
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    text = f"{json.dumps(document, indent=2)}\n" if as_json else f"{comment}{dump_yaml(document)}"
    if file is None:
        print_text(text.rstrip("\n"))
    else:
        file.write(text)
