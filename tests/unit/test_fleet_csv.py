"""The CSV of AWS Support's DRS Settings Tool: its columns and cells become what each source server has."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pytest

from workers.core.fleet.settings_csv import read_settings_csv
from workers.core.model.errors import InvalidBody

A, B = "s-" + "a" * 17, "s-" + "b" * 17
SUBNET, GROUP = "subnet-" + "0" * 17, "sg-" + "1" * 17
NETWORK = [
    {"DeviceIndex": 0, "SubnetId": SUBNET, "Groups": [GROUP], "AssociatePublicIpAddress": False},
    {"DeviceIndex": 1, "SubnetId": SUBNET},
]
TAGS = [{"Key": "Name", "Value": "it's"}, {"Key": "AWSElasticDisasterRecoverySourceServerID", "Value": A}]
ROW: dict[str, Any] = {
    "Hostname": "app, 1",
    "Server ID": A,
    "Launch Template ID": "lt-0",
    "Right Sizing": "none",
    "Copy Private IP": "False",
    "Copy Tags": "TRUE",
    "Launch Disposition": "STARTED",
    "Launch Into Instance": "",
    "BYOL": "False",
    "Recommended Instance Type": "c5.large",
    "Target Instance Type": "M5.large",
    "Target Key Pair": "",
    "Target AMI ID": "",
    "Target Network Settings": NETWORK,
    "Target Disk Settings": [{"DeviceName": "/dev/sda", "Ebs": {"VolumeSize": 8}}],
    "Target Instance Profile Role": "profile",
    "Target Instance Tags": TAGS,
    "Target Volume Tags": TAGS,
    "Staging Subnet": "subnet-1",
}


def write(*rows: Mapping[str, Any], columns: list[str] | None = None) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns or list(ROW))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def find_errors(text: str) -> list[tuple[str, int | None, str | None]]:
    with pytest.raises(InvalidBody) as refused:
        read_settings_csv(text)
    return [(each.pointer, each.line, each.source_server_id) for each in refused.value.errors]


def test_a_row_is_what_a_source_server_has() -> None:
    """Every column that says something of a launch; the others are named."""
    (held,), left = read_settings_csv(write(ROW))
    assert held.source_server_id == A
    assert held.config.to_json() == {
        "instanceType": "m5.large",
        "subnetId": SUBNET,
        "securityGroupIds": [GROUP],
        "instanceProfileName": "profile",
        "associatePublicIp": False,
        "tags": {"Name": "it's"},
        "copyPrivateIp": False,
        "copyTags": True,
        "launchDisposition": "STARTED",
        "targetInstanceTypeRightSizingMethod": "NONE",
        "licensing": {"osByol": False},
    }
    assert left == ["Target Key Pair", "Target AMI ID", "Target Disk Settings", "Staging Subnet"]
    assert [text.split()[0] for text in held.left_out] == ["Further"]


def test_what_cannot_be_asked_for_is_left_out_and_named() -> None:
    """A type beside right-sizing, tags that instance and volume do not agree on."""
    volume = [{"Key": "Name", "Value": "other"}]
    (held,), _ = read_settings_csv(write({**ROW, "Right Sizing": "BASIC", "Target Volume Tags": volume}))
    assert not {"instanceType", "tags"} & held.config.values.keys()
    assert sorted(text.split()[0] for text in held.left_out) == ["Further", "instanceType", "tags.Name"]


def test_an_empty_cell_says_nothing() -> None:
    """So does the word that Python writes for it."""
    empty = dict.fromkeys(ROW, "") | {"Server ID": A, "Target Instance Type": "None"}
    (held,), _ = read_settings_csv(write(empty))
    assert held.config.to_json() == {}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("Copy Tags", "yes"),
        ("BYOL", "1"),
        ("Target Network Settings", "{}"),
        ("Target Network Settings", "[1]"),
        ("Target Network Settings", "[{'Groups': 'sg-1'}]"),
        ("Target Network Settings", "[{'PrivateIpAddresses': [1]}]"),
        ("Target Network Settings", "__import__('os')"),
        ("Target Network Settings", "[" * 5000),
        ("Target Instance Tags", "[{'Key': 1, 'Value': 'x'}]"),
        ("Target Volume Tags", "[{'Key': 'x'}]"),
        ("Server ID", "s-1"),
        ("Server ID", ""),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_line(column: str, cell: str) -> None:
    """People edit these files; nothing of a cell is ever run."""
    bad = {**ROW, "Server ID": B, column: cell}
    ((pointer, line, server),) = find_errors(write(ROW, bad))
    assert (pointer, line) == (f"/1/{column}", 3)
    assert server == (cell or None if column == "Server ID" else B)


def test_all_errors_come_at_once() -> None:
    """Of all cells of all rows."""
    rows = [{**ROW, "Copy Tags": "x", "BYOL": "x"}, ROW, {**ROW, "Server ID": B, "Copy Private IP": "x"}]
    assert [(pointer, line) for pointer, line, _ in find_errors(write(*rows))] == [
        ("/0/Copy Tags", 2),
        ("/0/BYOL", 2),
        ("/1/Server ID", 3),
        ("/2/Copy Private IP", 4),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hostname,Server ID\n",
        write(ROW).replace(",", ";"),
        write(ROW, columns=sorted(ROW, key=lambda name: name != "Target Key Pair")),
        write(ROW)[: -len("subnet-1\r\n") - 1],
        write(ROW).rstrip() + ",more",
        write(ROW).rstrip() + ',"never ends',
    ],
    ids=["empty", "columns missing", "semicolons", "comparison copy", "cells missing", "cells too many", "no CSV"],
)
def test_what_is_no_such_file_is_refused(text: str) -> None:
    """Also the tool's other file, whose headings for key pair and instance type stand above each other's values."""
    assert len(find_errors(text)) == 1
