"""
The promises of the product, asked of the twin: at every change of a status, at every write to AWS, and at the end.

What AWS really holds is compared with what was asked for by the words of AWS's own API, not by our planner.
"""

import json
import logging
import sys
import zlib
from collections import Counter
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from producer.services import Services
from tests.fakes.twin.dynamodb import Item as RawItem
from tests.fakes.twin.fleet import ROUND_SECONDS, Fleet
from tests.fakes.twin.servers import SourceServers
from tests.fakes.twin.world import Call
from workers.core.errors import ServiceUnavailable
from workers.core.model.digest import digest_launch_config
from workers.core.model.launch_config import LaunchConfig as ProductLaunchConfig
from workers.core.queries import Page
from workers.core.requests import Conflict, NotFound
from workers.core.store.writes import decode

SETTLED = {"ready", "failed"}
LaunchConfig = Mapping[str, Any]


def holds(servers: SourceServers, server_id: str, wanted: LaunchConfig) -> bool:
    """Tell whether DRS and the default version of the template hold a launch config."""
    template, configuration = servers.template_of(server_id).data, servers.configurations[server_id]
    interfaces = template.get("NetworkInterfaces", ())
    primary: Mapping[str, Any] = next((each for each in interfaces if each["DeviceIndex"] == 0), {})
    found = {
        **configuration,
        "instanceType": template.get("InstanceType"),
        "ebsOptimized": template.get("EbsOptimized"),
        "monitoring": template.get("Monitoring", {}).get("Enabled"),
        "subnetId": primary.get("SubnetId"),
        "staticPrivateIp": primary.get("PrivateIpAddress"),
    }
    return all(found[name] == value for name, value in wanted.items())


def digests_of(*configs: LaunchConfig) -> dict[str, LaunchConfig]:
    """Name launch configs by what the product records of them."""
    return {digest_launch_config(ProductLaunchConfig(dict(config))): config for config in configs}


HOLD = {"heldBy", "heldUntil", "heldForDrill", "launching", "hasLeavers"}


def _is_held_otherwise(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether nothing but the hold of a wave differs."""
    kept = [{name: value for name, value in each.items() if name not in HOLD} for each in (before, after)]
    return kept[0] == kept[1]


def _is_confirmed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Tell whether nothing but the times of the last reading differ, and these are later."""
    times = {"verifiedAt", "watchedAt"}
    kept = [
        {name: value for name, value in each.items() if name not in {*times, "unlisted"}} for each in (before, after)
    ]
    return kept[0] == kept[1] and all(before.get(name, "") <= after.get(name, "") for name in times)


BUGS = frozenset({"sweep.crashed", "watch.crashed", "telling.crashed", "server.given_up", "job.escaped"})
"""What our code logs of an error that is none of its own, and then goes on."""


class Watch:
    """Watches a world: each broken promise is an AssertionError at the end, in words."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.broken: list[str] = []
        self.configs: dict[str, LaunchConfig] = {}
        """The launch configs that are asked for, by their digest."""
        self._deleted: dict[str, RawItem] = {}
        """The status that each group had when it was deleted."""
        self.edited: dict[str, datetime] = {}
        """When somebody else last wrote a source server's launch template."""
        self.sweeps_always = False
        """Whether somebody sweeps all the time: only then is every run settled by the deadline that it states."""
        fleet.world.tables.on_store = self._see_item
        fleet.world.on_write = self._see_write
        structlog.configure(
            processors=[self._see_log], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
        )

    def _see_log(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        """No bug is swallowed; all other lines would only take time."""
        if event["event"] in BUGS:
            kind, error, _ = sys.exc_info()
            self.broken.append(f"[bug] {event['event']}: {kind and kind.__name__}: {error}")
        raise structlog.DropEvent

    def check(self) -> None:
        """Refuse what was seen so far, if a promise was broken."""
        assert not self.broken, "\n".join(self.broken)

    def _see_item(self, table: str, key: tuple[str, str], before: RawItem | None, after: RawItem | None) -> None:
        if table != "groups" or key[1] != "status":
            return
        if after is None and before is not None:
            self._deleted[key[0]] = before
        if after is not None:
            self._see_status(key[0], decode(before) if before else None, decode(after))

    def _see_status(self, group_id: str, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
        """A status changes from pending to settled within a generation, or to pending with the next; nothing else.

        The watch, which found all right, moves the times of a settled one on.
        """
        if before is not None and before["status"] in SETTLED and _is_confirmed(before, after):
            return
        if before is not None and _is_held_otherwise(before, after):
            return
        was, generation = (before["status"], before["generation"]) if before else ("not_configured", 0)
        settles = was == "pending" and after["status"] in SETTLED and after["generation"] == generation
        opens = after["status"] == "pending" and after["generation"] == generation + 1
        counts = after["counts"]
        whole = after["status"] == "pending" or counts["pending"] == 0
        right = whole and (after["status"] == "ready") <= (counts["failed"] == 0)
        if not (settles or opens):
            self.broken.append(f"[2] {group_id}: {was} {generation} → {after['status']} {after['generation']}")
        if not right:
            self.broken.append(f"[1] {group_id} is {after['status']} with {counts}")
        if settles:
            self._see_settled(group_id, after)
            self._see_in_time(group_id, generation)

    def _see_settled(self, group_id: str, status: dict[str, Any]) -> None:
        """In the very instant in which a group becomes ready, DRS and EC2 hold what was asked for."""
        kept = {server_id for server_id, owner in self._owners().items() if owner == group_id}
        members = self._members_of(group_id)
        if not members <= kept or (members != kept and not status.get("hasLeavers")):
            self.broken.append(f"[9] {group_id} settles, and its members are {members}; the index says {kept}")
        if status["status"] == "ready" and status["counts"]["applied"] != len(members):
            self.broken.append(f"[1] {group_id} becomes ready with {status['counts']}, and its members are {members}")
        for server_id in members:
            item = self._fleet.world.tables.peek("runs", group_id, f"server#{server_id}")
            if item is None or item["status"]["S"] != "ready" or self._is_edited(server_id, item):
                continue
            wanted = self.configs.get(item["configHash"]["S"])
            if wanted is None:
                self.broken.append(f"[1] {server_id} is ready by a launch config that nobody asked for")
            elif not holds(self._fleet.world.servers, server_id, wanted):
                self.broken.append(f"[1] {group_id} settles, and {server_id} does not hold {wanted}")

    def _see_in_time(self, group_id: str, generation: int) -> None:
        """Whoever sweeps finds a run that is over in the next round; a try that goes wrong is made up for later."""
        head = self._fleet.world.tables.peek("runs", group_id, f"head#{generation:010d}")
        if not self.sweeps_always or head is None:
            return
        deadline, now = datetime.fromisoformat(head["deadline"]["S"]), self._fleet.world.now()
        if now > deadline + 3 * timedelta(seconds=ROUND_SECONDS):
            self.broken.append(f"[3] {group_id} settles at {now}, and its run said {deadline}")

    async def read(self, group_id: str, reader: Services) -> None:
        """Read where a group stands, as anyone may at any time, and check that the answer is of one moment."""
        try:
            view = await reader.queries.status(group_id, Page(limit=1000))
        except (NotFound, Conflict, ServiceUnavailable):
            return
        if view.status is None:
            return
        found = Counter(status.value for status, _, _ in view.servers.values())
        counts = view.status.counts
        said = (counts.applied, counts.failed, counts.pending)
        if said != (found["ready"], found["failed"], found["pending"]):
            self.broken.append(f"[2] a reader of {group_id} was told {said} and {dict(found)}")
        if view.status.status.value == "ready" and set(found) - {"ready"}:
            self.broken.append(f"[2] a reader of {group_id} was told ready and {dict(found)}")

    def _see_start(self, call: Call) -> None:
        """Nothing is started that is not ready at the generation at which its wave launches the group."""
        wave_id = call.request["tags"].get("prelaunch:waveId")
        items = [decode(item) for item in self._fleet.world.tables.every("waves") if item["waveId"] == {"S": wave_id}]
        launched = {item["groupId"]: item["generation"] for item in items if item["item"].startswith("group#")}
        for each in call.request["sourceServers"]:
            server_id = each["sourceServerID"]
            owner = self._owner_of(server_id)
            generation = launched.get(owner or "", 0)
            status = self._fleet.world.tables.peek("groups", owner, "status") if owner and generation else None
            if owner is None or status is None or status.get("heldBy") != {"S": wave_id}:
                # It has no launch config, or its wave lost it since.
                continue
            record = self._fleet.world.tables.peek("runs", owner, f"server#{server_id}")
            listing = self._fleet.world.tables.peek("runs", owner, f"list#{generation:010d}")
            is_listed = listing is not None and server_id in decode(listing)["sourceServerIds"]
            found = decode(record) if record else {"status": "pending", "generation": 0}
            if found["status"] != "ready" or (is_listed and found["generation"] < generation):
                self.broken.append(f"[8] {server_id} is started at generation {generation} of {owner}: {found}")

    def _see_write(self, call: Call) -> None:
        """No older generation writes to a source server that a newer one of the same group has verified."""
        if call.operation == "start_recovery":
            self._see_start(call)
            return
        server_id = self._server_of(call)
        run = self._find_run(call.run_id)
        if server_id is None or run is None:
            return
        change = f"change#{run['generation']:010d}#{server_id}"
        if self._fleet.world.tables.peek("runs", run["groupId"], change) is None:
            self.broken.append(f"[12] {call.operation} of {server_id} is not in the history before it is done")
        owner = self._owner_of(server_id)
        if owner not in {None, run["groupId"]} and self._is_verified(owner, server_id):
            self.broken.append(f"[5] {run['groupId']} writes to {server_id}, which {owner} has and has verified")
        recorded = self._fleet.world.tables.peek("runs", run["groupId"], f"server#{server_id}")
        # A call that comes late writes once more what was verified: what DRS launches stays the same.
        is_new = recorded is None or int(recorded["generation"]["N"]) < run["generation"]
        if is_new and self._is_launched(server_id):
            self.broken.append(f"[8] {call.operation} of {server_id} while DRS launches from its template")
        if recorded is not None and int(recorded["generation"]["N"]) > run["generation"]:
            self.broken.append(
                f"[5] generation {run['generation']} writes to {server_id} ({call.operation}), which generation"
                f" {recorded['generation']['N']} has recorded"
            )

    def _is_launched(self, server_id: str) -> bool:
        """Tell whether DRS launches a source server, of whichever group, for a wave that holds that group for it."""
        wave_id = self._fleet.world.servers.find_launching(server_id)
        parts = (part for part in self._fleet.world.tables.every("waves") if part["waveId"] == {"S": wave_id})
        launched = {
            part["groupId"]["S"] for part in parts if {"S": server_id} in part.get("sourceServerIds", {"L": []})["L"]
        }
        # A wave that lost its group to a recovery, or whose time is over, holds nothing any more.
        statuses = [
            self._fleet.world.tables.peek("groups", group_id, "status") or self._deleted.get(group_id, {})
            for group_id in launched
        ]
        return any(status.get("heldBy") == {"S": wave_id} for status in statuses)

    def _is_verified(self, group_id: str, server_id: str) -> bool:
        item = self._fleet.world.tables.peek("runs", group_id, f"server#{server_id}")
        return item is not None and item["status"]["S"] == "ready"

    def _server_of(self, call: Call) -> str | None:
        if call.service == "drs":
            server_id = call.request.get("sourceServerID")
            return str(server_id) if server_id is not None else None
        return self._fleet.world.servers.templates[call.request["LaunchTemplateId"]].server_id

    def _find_run(self, run_id: str | None) -> dict[str, Any] | None:
        # Asked at every write: only what is found is decoded.
        items = self._fleet.world.tables.every("runs") if run_id is not None else iter(())
        found = next((item for item in items if item.get("runId") == {"S": run_id}), None)
        return decode(found) if found is not None else None

    def _owner_of(self, server_id: str) -> str | None:
        for item in self._fleet.world.tables.every("keys"):
            if item["key"]["S"].startswith("servers#") and server_id in item["owners"]["M"]:
                return str(item["owners"]["M"][server_id]["S"])
        return None

    # --- at the end

    def check_end(self, wanted: Mapping[str, Mapping[str, LaunchConfig]]) -> None:
        """
        Check a world in which everything has settled.

        Parameters:
            wanted: Of each group, each member's effective launch config; a group that is not named was deleted.
        """
        for group_id, status in self._fleet.statuses().items():
            self._check_ready(group_id, status, wanted.get(group_id, {}))
        self._check_once()
        self._check_waves()
        self._check_told()
        self._check_history()
        self._check_members(wanted)
        self.check()

    def _check_ready(self, group_id: str, status: Mapping[str, Any], wanted: Mapping[str, LaunchConfig]) -> None:
        if status["status"] == "pending":
            self.broken.append(f"[3] {group_id} is pending for ever")
        if status["status"] == "ready" and status["counts"]["applied"] != len(wanted):
            self.broken.append(f"[1] {group_id} is ready with {status['counts']} of {len(wanted)}")
        for server_id, config in wanted.items():
            item = self._fleet.world.tables.peek("runs", group_id, f"server#{server_id}")
            ready = item is not None and item["status"]["S"] == "ready"
            if ready and self._is_edited(server_id, item):
                continue
            if ready and not holds(self._fleet.world.servers, server_id, config):
                self.broken.append(f"[1] {server_id} reads ready and does not hold {config}")
            if status["status"] == "ready" and not ready:
                self.broken.append(f"[1] {group_id} reads ready and {server_id} does not")

    def _owners(self) -> dict[str, str]:
        """Tell which group each source server belongs to, by the index of members."""
        items = map(decode, self._fleet.world.tables.every("keys"))
        shards = [item["owners"] for item in items if item["key"].startswith("servers#")]
        return {server_id: group_id for owners in shards for server_id, group_id in owners.items()}

    def _members_of(self, group_id: str) -> set[str]:
        """Tell a group's members, by its definition."""
        tables = self._fleet.world.tables
        group = tables.peek("groups", group_id, "group")
        if group is None:
            return set()
        config = tables.peek("groups", group_id, f"config#{int(group['version']['N']):010d}#0000")
        assert config is not None
        return set(json.loads(zlib.decompress(decode(config)["data"]))["sourceServerIds"])

    def _is_edited(self, server_id: str, item: RawItem | None) -> bool:
        """Tell whether somebody else wrote after what the read-back showed: that is drift, and no broken promise."""
        at = self.edited.get(server_id)
        if at is None or item is None or "verifiedAt" not in item:
            return False
        # A read of EC2 shows the state of up to so long ago.
        lag = timedelta(seconds=self._fleet.world.lag)
        return at >= datetime.fromisoformat(item["verifiedAt"]["S"]) - lag

    def _check_waves(self) -> None:
        """Every wave is over and holds nothing, and none has started a source server twice."""
        for item in map(decode, self._fleet.world.tables.every("waves")):
            if item["item"] == "wave" and item["status"] not in {"finished", "failed"}:
                self.broken.append(f"[3] {item['waveId']} is {item['status']} for ever")
        for group_id, status in self._fleet.statuses().items():
            if HOLD & status.keys():
                self.broken.append(f"[3] {group_id} is held by {status.get('heldBy')} for ever")
        started = Counter(
            (job["tags"]["prelaunch:waveId"], each["sourceServerID"])
            for job in self._fleet.world.servers.jobs
            for each in job["participatingServers"]
        )
        twice = [key for key, count in started.items() if count > 1]
        if twice:
            self.broken.append(f"[4] started twice: {twice}")

    def _check_once(self) -> None:
        for template in self._fleet.world.servers.templates.values():
            if len(set(template.made)) < len(template.made):
                self.broken.append(f"[4] {template.template_id} was given the same version twice: {template.made}")

    def _check_told(self) -> None:
        """Whoever listens has heard how each run ended that was settled, and what each group is now."""
        if self._fleet.world.listeners.waiting:
            self.broken.append(f"[3] tasks wait for ever: {sorted(self._fleet.world.listeners.waiting)}")
        told = {
            (each["groupId"], each["generation"]): each["status"]
            for each in self._fleet.world.listeners.told()
            if "groupId" in each
        }
        ended = {each["waveId"]: each["status"] for each in self._fleet.world.listeners.told() if "waveId" in each}
        for wave in map(decode, self._fleet.world.tables.every("waves")):
            if wave["item"] == "wave" and ended.get(wave["waveId"]) != wave["status"]:
                self.broken.append(f"[3] {wave['waveId']} is {wave['status']}; told: {ended.get(wave['waveId'])}")
        for group_id in {key for key, _ in told} | set(self._fleet.statuses()):
            for head in self._fleet.heads(group_id):
                heard = told.get((group_id, head["generation"]))
                if "outcome" in head and heard != head["outcome"]:
                    self.broken.append(f"[3] {group_id}#{head['generation']} is {head['outcome']}; told: {heard}")

    def _check_history(self) -> None:
        """What was changed is in the history, and says what came of it."""
        for item in map(decode, self._fleet.world.tables.every("runs")):
            if item["item"].startswith("change#") and "completedAt" not in item and self._recorded(item):
                self.broken.append(f"[12] {item['item']} of {item['groupId']} says not what came of it")

    def _recorded(self, change: Mapping[str, Any]) -> bool:
        server = self._fleet.world.tables.peek("runs", change["groupId"], f"server#{change['sourceServerId']}")
        generation = int(change["item"].split("#")[1])
        return server is not None and int(server["generation"]["N"]) == generation

    def _check_members(self, wanted: Mapping[str, Mapping[str, LaunchConfig]]) -> None:
        owners = self._owners()
        expected = {server_id: group_id for group_id, members in wanted.items() for server_id in members}
        if owners != expected:
            self.broken.append(f"[9] the index of members says {owners} instead of {expected}")
        left = {item["groupId"] for item in map(decode, self._fleet.world.tables.every("groups"))}
        servers = {
            item["groupId"]
            for item in map(decode, self._fleet.world.tables.every("runs"))
            if item["item"].startswith("server#")
        }
        if (left | servers) - set(wanted):
            self.broken.append(f"[3] items of deleted groups are left: {(left | servers) - set(wanted)}")
