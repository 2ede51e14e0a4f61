"""The stand-ins that tests share a start with: each is a world of its own, and none outlives who asked for it."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack, closing

from infra.local.process import StandIn
from tests.forked_stand_in import StandIns
from tests.integration.conftest import make_client
from tests.integration.test_local_server import wait_readable


def test_each_is_a_world_of_its_own(stand_ins: StandIns) -> None:
    """With other ids, and nothing that the other one was told."""
    with stand_ins.run() as one, stand_ins.run() as other:
        assert not find_subnets(one) & find_subnets(other)
        one.control("POST", "servers", {"count": 3})
        assert (count_servers(one), count_servers(other)) == (3, 0)


def count_servers(local: StandIn) -> int:
    with closing(make_client("drs", local.url)) as drs:
        return len(drs.describe_source_servers(filters={})["items"])


def find_subnets(local: StandIn) -> set[str]:
    with closing(make_client("ec2", local.url)) as ec2:
        return {each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]}


def test_its_end_is_waited_for(stand_ins: StandIns) -> None:
    """As that of one that was started as a person does."""
    with stand_ins.run() as running:
        watch = os.pidfd_open(running.process_id)
    try:
        assert wait_readable(watch, seconds=0)
    finally:
        os.close(watch)


def test_all_end_with_the_one_who_asked_for_them() -> None:
    """Also when it is killed, nothing is left behind: no stand-in, and not the process that forks."""
    starter = textwrap.dedent("""
        import os, sys
        from tests.forked_stand_in import open_stand_ins
        with open_stand_ins() as stand_ins, stand_ins.run() as running:
            stat = open(f"/proc/{running.process_id}/stat").read()
            print(running.process_id, stat.rpartition(")")[2].split()[1], flush=True)
            sys.stdin.read()
    """)
    process = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    watches = [os.pidfd_open(int(number)) for number in process.stdout.readline().split()]
    process.kill()
    process.communicate()
    with ExitStack() as held:
        for watch in watches:
            held.callback(os.close, watch)
        # A pidfd becomes readable when its process has ended.
        ended = [wait_readable(watch, seconds=20) for watch in watches]
        for watch in watches:
            if not wait_readable(watch, seconds=0):
                signal.pidfd_send_signal(watch, signal.SIGKILL)
        assert ended == [True, True]
