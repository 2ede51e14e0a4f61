"""
The groups that are there from the start: made at the API's door, followed until they have settled, and told of.

An API that is just being started anew is asked again at the next step, and makes no group twice.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from infra.local.process import StandIn
from producer.local_stack.door import NoAnswer, call_api
from producer.local_stack.groups import (
    describe_failure,
    draw_groups,
    find_failure,
    find_network,
    refuse_one,
    summarise,
)


class FirstGroups:
    """
    Two groups, on their way.

    Parameters:
        api: What connects to the API.
        bodies: The groups, as they are to be created.
        aws_url: Where the stand-in answers, at which the cause of the failure is taken away.
    """

    def __init__(self, api: httpx.Client, bodies: Sequence[dict[str, Any]], aws_url: str) -> None:
        self._api = api
        self._aws_url = aws_url
        self._wanted = [(body, uuid.uuid4().hex) for body in bodies]
        self._group_ids: list[str] = []
        self._settled = not bodies

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; answer the answer's JSON."""
        return call_api(self._api, method, path, body)

    def step(self) -> list[str]:
        """
        Go on with what can be done now.

        Returns:
            What there is to tell.

        Raises:
            LocalStackFailed: The API refuses a group.
        """
        if self._settled:
            return []
        try:
            if self._wanted:
                return self._make()
            return self._look()
        except NoAnswer:
            return []

    def _make(self) -> list[str]:
        body, key = self._wanted[0]
        made = call_api(self._api, "POST", "/protection-groups", body, key)
        self._group_ids.append(made["groupId"])
        del self._wanted[0]
        return [f"Group {body['groupName']} of {len(body['sourceServerIds'])} source servers is being applied."]

    def _look(self) -> list[str]:
        groups = [summarise(self, group_id) for group_id in self._group_ids]
        if any(group["status"] == "pending" for group in groups):
            return []
        failure = find_failure(self, self._group_ids)
        self._settled = True
        ready, total = (sum(group[name] for group in groups) for name in ("ready", "total"))
        told = [f"{ready} of {total} source servers are ready."]
        if failure["sourceServerId"] is None:
            return told
        remedy = f"curl -X PUT {self._aws_url}/_local/faults -d '[]'"
        return [
            *told,
            f"failed {describe_failure(failure)}",
            f"It was scripted, so that there is one. Its cause goes with: {remedy}",
        ]


def draw_first_groups(aws: StandIn, servers: int) -> list[dict[str, Any]]:
    """
    Make source servers in the stand-in, of which DRS refuses one; and draw the groups that they are in.

    Parameters:
        aws: The stand-in.
        servers: How many source servers; 0 makes none, and no group.

    Returns:
        The bodies of `POST /protection-groups`; a group without source servers is none.
    """
    bodies = draw_groups(aws, find_network(aws), (servers - servers // 2, servers // 2)) if servers else []
    drawn = [body for body in bodies if body["sourceServerIds"]]
    if drawn:
        refuse_one(aws, drawn[0])
    return drawn
