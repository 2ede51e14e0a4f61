"""
The report of a bulk re-apply: one row a source server, as CSV or JSON.

It is found out before anything is applied whether it can be written; it takes its place whole or not at all. Others'
text in it does nothing to the spreadsheet that opens it.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from producer.cli.answer import clean
from producer.cli.reapply.outcome import COLUMNS
from producer.cli.whole_file import FileUnwritable, WholeFile

FORMULA = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula, also in full width."""


class Report:
    """
    A report that is to be written.

    Parameters:
        name: The file's; its ending says which kind of report it is.
    """

    def __init__(self, name: str) -> None:
        self._is_csv = _read_kind(name)
        self._file = WholeFile(name, "the report")

    def write(self, document: Mapping[str, Any]) -> None:
        """Write it, in the place of what was there; FileUnwritable says why that failed."""
        self._file.write(
            render_csv(document["sourceServers"]) if self._is_csv else json.dumps(document, indent=2) + "\n"
        )

    def close(self) -> None:
        """Leave nothing behind but what was written whole."""
        self._file.close()


def render_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    Render rows as CSV (RFC 4180), with a line of headings.

    Parameters:
        rows: One a source server, each with every column.

    Returns:
        The file's text.
    """
    written = io.StringIO()
    # All are quoted: where a spreadsheet divides lines by something else, a quoted cell stays one.
    writer = csv.writer(written, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([make_cell(row[column]) for column in COLUMNS])
    return written.getvalue()


def make_cell(value: object) -> str:
    """
    Make a value text that no spreadsheet computes.

    Parameters:
        value: Text of others', a number or nothing.

    Returns:
        One line; what could be taken for a formula has an apostrophe before it.
    """
    text = "" if value is None else clean(str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _read_kind(name: str) -> bool:
    kind = Path(name).suffix.lower()
    if kind not in {".csv", ".json"}:
        raise FileUnwritable(f"{clean(name)!r} ends neither with .csv nor with .json: which kind of report is it?")
    return kind == ".csv"
