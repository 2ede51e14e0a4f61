"""
The CSV that AWS Support's DRS Settings Tool writes of a Region's source servers, as what each of them has. Pure.

Its columns, their words and the Python literals in its cells are facts of that tool (awslabs/aws-support-tools,
DRS/DRS-Settings-Tool). A cell that cannot be read is an error with its line: people edit these files by hand.
"""

import ast
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workers.core.fleet.held import Held, read_held
from workers.core.model.errors import FieldError, InvalidBody, Place, show
from workers.core.model.group_body import ServerBody
from workers.core.model.launch_config import Json
from workers.core.model.shape import members_of

SERVER, KEY_PAIR, INSTANCE_TYPE = "Server ID", "Target Key Pair", "Target Instance Type"
LONGEST_CELL = 100_000
_TRUTHS: Mapping[str, bool] = {"true": True, "false": False}
_LITERAL_ERRORS = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
Read = Callable[[str], Any]
_SERVER_ID = members_of(ServerBody)["sourceServerId"]


class _Unreadable(Exception):
    """A cell holds something else than its column says."""


def _truth(text: str) -> bool:
    truth = _TRUTHS.get(text.lower())
    if truth is None:
        raise _Unreadable("must be True or False")
    return truth


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        value = ast.literal_eval(text) if len(text) <= LONGEST_CELL else None
    except _LITERAL_ERRORS as error:
        raise _Unreadable("must be a list of objects as the tool writes them") from error
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _Unreadable("must be a list of objects as the tool writes them")
    return value


def _tags(text: str) -> list[dict[str, Any]]:
    tags = _objects(text)
    if not all(isinstance(each.get("Key"), str) and isinstance(each.get("Value"), str) for each in tags):
        raise _Unreadable("must be a list of objects, each with a text as Key and as Value")
    return [{"Key": each["Key"], "Value": each["Value"]} for each in tags]


def _interfaces(text: str) -> list[dict[str, Any]]:
    interfaces = _objects(text)
    if not all(_is_interface(each) for each in interfaces):
        raise _Unreadable("must be a list of network interfaces as the tool writes them")
    return interfaces


def _is_interface(each: Mapping[str, Any]) -> bool:
    groups, addresses = each.get("Groups") or [], each.get("PrivateIpAddresses") or []
    return (
        isinstance(groups, list)
        and all(isinstance(group, str) for group in groups)
        and isinstance(addresses, list)
        and all(isinstance(address, dict) for address in addresses)
    )


CONFIGURATION: Mapping[str, tuple[str, Read]] = {
    "Right Sizing": ("targetInstanceTypeRightSizingMethod", str.upper),
    "Copy Private IP": ("copyPrivateIp", _truth),
    "Copy Tags": ("copyTags", _truth),
    "Launch Disposition": ("launchDisposition", str.upper),
    "Launch Into Instance": ("launchIntoInstanceProperties", lambda text: {"launchIntoEC2InstanceID": text}),
    "BYOL": ("licensing", lambda text: {"osByol": _truth(text)}),
}
"""Columns of DRS's half: our field, and how a cell that is not empty is read."""
TEMPLATE: Mapping[str, tuple[str, Read]] = {
    INSTANCE_TYPE: ("InstanceType", str.lower),
    "Target Network Settings": ("NetworkInterfaces", _interfaces),
    "Target Instance Profile Role": ("IamInstanceProfile", lambda text: {"Name": text}),
    "Target Instance Tags": ("instance", _tags),
    "Target Volume Tags": ("volume", _tags),
}
"""Columns of the launch template: the member of its data, or for tags the resource; how a cell is read."""
NAMES = frozenset({"Hostname", SERVER, "Launch Template ID", "Recommended Instance Type"})
"""Columns that only say which source server it is, or what DRS would choose."""


def read_settings_csv(text: str) -> tuple[list[Held], list[str]]:
    """
    Read what each source server of the file has.

    Parameters:
        text: The file; its first line names the columns.

    Returns:
        What each has, and the columns that hold what prelaunch does not manage.

    Raises:
        InvalidBody: Something cannot be read; it carries every error, each with its line.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = list(rows.fieldnames or [])
        _check_columns(columns)
        held, errors = _read_rows(rows)
    except csv.Error as error:
        raise InvalidBody((_error("", f"The file is no CSV: {error}.", rows.line_num),)) from error
    if errors:
        raise InvalidBody(tuple(errors))
    known = NAMES | CONFIGURATION.keys() | TEMPLATE.keys()
    return held, [name for name in columns if name not in known]


def _check_columns(columns: list[str]) -> None:
    missing = [name for name in (SERVER, *CONFIGURATION, *TEMPLATE) if name not in columns]
    if missing:
        message = (
            f"The first line lacks the columns {', '.join(missing)}: this is no DRS_Settings.csv of AWS Support's DRS"
            " Settings Tool, with commas between its columns."
        )
        raise InvalidBody((_error("", message, 1),))
    if KEY_PAIR in columns and columns.index(KEY_PAIR) < columns.index(INSTANCE_TYPE):
        # The tool writes the same rows into both of its files, and other headings into this one.
        message = (
            f"This is the tool's copy for comparison, in which the headings {KEY_PAIR} and {INSTANCE_TYPE} stand above"
            " each other's values. Give the file DRS_Settings.csv."
        )
        raise InvalidBody((_error("", message, 1),))


def _read_rows(rows: "csv.DictReader[str]") -> tuple[list[Held], list[FieldError]]:
    held: list[Held] = []
    errors: list[FieldError] = []
    lines: dict[str, int] = {}
    for index, row in enumerate(rows):
        place = Place(f"/{index}", source_server_id=None)
        server = (row.get(SERVER) or "").strip()
        if server in lines:
            message = f"{server} stands on line {lines[server]} already; take one of the two out."
            errors.append(_error(f"{place.pointer}/{SERVER}", message, rows.line_num, server))
            continue
        lines[server] = rows.line_num
        read, wrong = _read_row(server, row)
        errors += [_error(place.at(name).pointer, message, rows.line_num, server) for name, message in wrong]
        held += [read] if read is not None else []
    return held, errors


def _read_row(server: str, row: Mapping[str, str | None]) -> tuple[Held | None, list[tuple[str, str]]]:
    wrong: list[tuple[str, str]] = []
    configuration = dict(_read_cells(row, CONFIGURATION, wrong))
    data = dict(_read_cells(row, TEMPLATE, wrong))
    tags = [{"ResourceType": kind, "Tags": data.pop(kind)} for kind in ("instance", "volume") if kind in data]
    if None in row or None in row.values():
        wrong.append((SERVER, "The line has another number of cells than the first one has columns."))
    wrong += [(SERVER, each.message) for each in _SERVER_ID.read(server, Place(""))[1]]
    if wrong:
        return None, wrong
    return read_held(server, configuration, {**data, **({"TagSpecifications": tags} if tags else {})}, {}), []


def _read_cells(
    row: Mapping[str, str | None], columns: Mapping[str, tuple[str, Read]], wrong: list[tuple[str, str]]
) -> Iterator[tuple[str, Json]]:
    for column, (name, read) in columns.items():
        cell = (row[column] or "").strip()
        if cell in {"", "None"}:
            continue
        try:
            yield name, read(cell)
        except _Unreadable as reason:
            wrong.append((column, f"{column} {reason}, not {show(cell)}."))


def _error(pointer: str, message: str, line: int, server: str | None = None) -> FieldError:
    return FieldError(pointer, "INVALID_BODY", message, server or None, line)
