"""
Scripted faults: what the control is told to make fail, and which call meets which fault.

A fault must never fire on a call that it does not name, and a script that names nothing real must never be
accepted: a test that waits for it would pass for the wrong reason.
"""

import random
import threading
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic.alias_generators import to_camel

from infra.local.aws_models import load_description
from infra.local.call import Call

_SERVICES = (
    "cloudformation",
    "drs",
    "dynamodb",
    "ec2",
    "events",
    "iam",
    "monitoring",
    "servicequotas",
    "sqs",
    "states",
    "sts",
)
_MODELS = {"monitoring": "cloudwatch", "servicequotas": "service-quotas", "states": "stepfunctions"}
"""botocore's names of services that are not signed for by them."""
_TRANSACTIONS = {"TransactWriteItems", "TransactGetItems"}


class CancellationReason(BaseModel):
    """Why DynamoDB cancelled one item of a transaction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    Code: str
    """`None` for an item that is not to blame."""
    Message: str | None = None
    """The reason in words."""


class Fault(BaseModel):
    """One scripted fault, in the words of `PUT /_local/faults`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    service: str
    """The service that the call is signed for."""
    operation: str
    """One operation, or `*` for all of the service."""
    code: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The error code of the answer."""
    kind: Literal["hang", "reset"] | None = None
    """Instead of an answer: silence until the client gives up, or a reset connection."""
    times: PositiveInt | None = None
    """How many calls meet this fault; without `times` and `probability` every one does."""
    probability: float | None = Field(default=None, gt=0, le=1)
    """The share of calls that meet this fault."""
    source_server_id: Annotated[str, StringConstraints(pattern=r"^s-[0-9a-zA-Z]{17}$")] | None = None
    """Only calls that name this source server, or its launch template."""
    account_id: Annotated[str, StringConstraints(pattern=r"^\d{12}$")] | None = None
    """Only calls of this account."""
    after_effect: bool = False
    """The call takes effect before its answer is lost or replaced."""
    effect_delay_seconds: float | None = Field(default=None, ge=0)
    """The answer is lost or replaced at once; the effect comes so much later, by the stand-in's clock."""
    status: int | None = Field(default=None, ge=400, le=599)
    """The HTTP status of the error, where AWS answers a code with another one than its model says."""
    retry_after_seconds: int | None = Field(default=None, ge=0)
    """Sent as `Retry-After` with the error."""
    cancellation_reasons: list[CancellationReason | str] | None = Field(default=None, min_length=1, max_length=100)
    """One an item of a cancelled DynamoDB transaction: codes, or objects with `Code` and `Message`."""

    @model_validator(mode="after")
    def _check(self) -> "Fault":
        complaint = self._complaint()
        if complaint:
            raise ValueError(complaint)
        return self

    def _complaint(self) -> str | None:
        named = _MODELS.get(self.service, self.service)
        known = (load_description(named) or {"operations": ()}) if self.service in _SERVICES else None
        answers = self.code or self.kind or self.loses_answer or self.cancellation_reasons
        wrong = {
            f"service must be one of {', '.join(_SERVICES)}, not {self.service!r}": known is None,
            f"{self.service} has no operation {self.operation!r}": (
                self.operation != "*" and known is not None and self.operation not in known["operations"]
            ),
            "a fault has a code or a kind, not both": self.code and self.kind,
            "a status comes with a code only": self.status and not self.code,
            "a fault needs code, kind, afterEffect, effectDelaySeconds or cancellationReasons": not answers,
            "a fault has times or a probability, not both": self.times and self.probability,
            "afterEffect and effectDelaySeconds exclude each other": (
                self.after_effect and self.effect_delay_seconds is not None
            ),
        }
        complaints = [complaint for complaint, holds in wrong.items() if holds]
        return complaints[0] if complaints else self._transaction_complaint()

    def _transaction_complaint(self) -> str | None:
        if self.cancellation_reasons is None:
            return None
        if self.service != "dynamodb" or self.operation not in _TRANSACTIONS:
            return "cancellationReasons belong to dynamodb TransactWriteItems or TransactGetItems"
        if self.kind or self.code not in {None, "TransactionCanceledException"}:
            return "cancellationReasons come with the code TransactionCanceledException only"
        return None

    @property
    def loses_answer(self) -> bool:
        """Tell whether the call takes effect although the client does not learn of it."""
        return self.after_effect or self.effect_delay_seconds is not None

    def names(self, call: Call, template_of: Callable[[str], str | None]) -> bool:
        """
        Tell whether this fault is meant for a call.

        Parameters:
            call: The call.
            template_of: Tells a source server's launch template id.

        Returns:
            True if it fires, chance and count apart.
        """
        if self.service != call.service or self.operation not in {"*", call.operation}:
            return False
        if self.account_id not in {None, call.account_id}:
            return False
        if self.source_server_id is None or self.source_server_id in call.source_server_ids():
            return True
        return template_of(self.source_server_id) in call.launch_template_ids()


FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])
"""Reads the body of `PUT /_local/faults`."""


class FaultScript:
    """The faults in force. Safe to use from many threads."""

    def __init__(self, template_of: Callable[[str], str | None]) -> None:
        self._template_of = template_of
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._met: list[int] = []

    def replace(self, faults: list[Fault]) -> None:
        """Forget the faults in force and take these."""
        with self._lock:
            self._faults, self._met = faults, [0] * len(faults)

    def meet(self, call: Call) -> Fault | None:
        """Find the first fault that fires on a call, and count it as met."""
        if not self._faults:
            return None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.times is not None and self._met[index] >= fault.times:
                    continue
                if fault.names(call, self._template_of) and _fires(fault):
                    self._met[index] += 1
                    return fault
        return None


def _fires(fault: Fault) -> bool:
    return fault.probability is None or random.random() < fault.probability  # noqa: S311 - no secret  # nosec B311
