"""What /openapi.json shows as the example of a plan. See `examples`."""

from typing import Any

from producer.http.examples import GROUP_ID, SERVERS
from workers.core.pages import write_token
from workers.core.preview import asked_plan

PLAN: dict[str, Any] = {
    "groupId": GROUP_ID,
    "version": 1,
    "serverPlans": {
        SERVERS[0]: {
            "steps": [
                {
                    "step": "drs.UpdateLaunchConfiguration",
                    "fields": [
                        {"field": "targetInstanceTypeRightSizingMethod", "observed": "BASIC", "desired": "NONE"}
                    ],
                },
                {
                    "step": "ec2.CreateLaunchTemplateVersion",
                    "launchTemplateId": "lt-0a1b2c3d4e5f67890",
                    "sourceVersion": 3,
                    "fields": [{"field": "instanceType", "observed": "m5.large", "desired": "m7i.large"}],
                },
            ],
            "errors": [],
        },
        SERVERS[1]: {"steps": [], "errors": []},
    },
    "nextToken": write_token(asked_plan(GROUP_ID), (1, SERVERS[1])),
}
