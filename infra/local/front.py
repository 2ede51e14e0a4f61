"""
What stands before every service: counts, signature, latency, faults and token buckets, in this order.

It knows nothing of what a call does. A call that is refused here must never reach a service.
"""

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from infra.local.aws_errors import THROTTLING_CODES, render_error
from infra.local.aws_models import list_regions
from infra.local.buckets import Buckets
from infra.local.call import Call, read_call
from infra.local.faults import CancellationReason, Fault, FaultScript
from infra.local.httpd import Answer, AnswerLost, Request
from infra.local.late import LateEffects

_SLOW_SERVICES = {"drs", "ec2"}
_SIGNATURE_AGE = timedelta(minutes=5)


@dataclass(slots=True)
class CallCounts:
    """How often each API was called and throttled, by account and Region."""

    _counts: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        """Count a call."""
        with self._lock:
            self._counts.setdefault((call.account_id, call.region, call.name), [0, 0])[0] += 1

    def add_throttled(self, call: Call) -> None:
        """Count a throttled answer to a call that `add` has counted."""
        with self._lock:
            self._counts.setdefault((call.account_id, call.region, call.name), [0, 0])[1] += 1

    def totals(self, account_id: str | None = None, region: str | None = None) -> dict[str, dict[str, int]]:
        """Sum the counts by API, of all accounts and Regions or of one."""
        totals: dict[str, dict[str, int]] = {}
        with self._lock:
            for (account, where, name), (count, throttled) in sorted(self._counts.items()):
                if account_id in {None, account} and region in {None, where}:
                    total = totals.setdefault(name, {"count": 0, "throttled": 0})
                    total["count"] += count
                    total["throttled"] += throttled
        return totals

    def clear(self) -> None:
        """Start again from nothing."""
        with self._lock:
            self._counts.clear()


@dataclass(slots=True)
class Front:
    """Answers every request: the control's own, and the calls of AWS after their checks."""

    services: Callable[[Request, str, str], Answer]
    """Everything behind the front; takes the request, the caller's account and the service, empty if not signed."""
    control: Callable[[Request], Answer]
    account_of: Callable[[str], str]
    counts: CallCounts
    faults: FaultScript
    buckets: Buckets
    late: LateEffects
    observe: Callable[[Call, Answer], None]
    """Is shown every call that has reached its service, with the answer."""
    latency_seconds: float = 0.0

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        if request.path.startswith("/_local/"):
            return self.control(request)
        call = read_call(request, self.account_of)
        if call is None:
            return self._serve(request, None)
        self.counts.add(call)
        return self._answer(call)

    def _answer(self, call: Call) -> Answer:
        refusal = _refuse_old_signature(call) or _refuse_unknown_region(call)
        if refusal:
            return refusal
        if self.latency_seconds and call.service in _SLOW_SERVICES:
            time.sleep(self.latency_seconds)
        fault = self.faults.meet(call)
        if fault is None:
            return self._throttle(call) or self._serve(call.request, call)
        if fault.effect_delay_seconds is not None:
            self.late.schedule(fault.effect_delay_seconds, lambda: self._serve(call.request, call))
        elif fault.after_effect:
            throttled = self._throttle(call)
            if throttled:
                return throttled
            self._serve(call.request, call)
        return self._fail(call, fault)

    def _throttle(self, call: Call) -> Answer | None:
        wait = self.buckets.take((call.account_id, call.region, call.service, call.operation))
        if wait is None:
            return None
        self.counts.add_throttled(call)
        if call.service == "ec2":
            return render_error(call, "RequestLimitExceeded", "Request limit exceeded.")
        members = {"serviceCode": "drs", "quotaCode": call.operation, "retryAfterSeconds": str(wait)}
        return render_error(call, "ThrottlingException", "Rate exceeded", retry_after_seconds=wait, members=members)

    def _fail(self, call: Call, fault: Fault) -> Answer:
        answer = render_fault(call, fault)
        if fault.code in THROTTLING_CODES:
            self.counts.add_throttled(call)
        return answer

    def _serve(self, request: Request, call: Call | None) -> Answer:
        try:
            answer = self.services(request, *((call.account_id, call.service) if call else ("", "")))
        except NotImplementedError:
            if call is None:
                raise
            return _unknown_operation(call)
        except Exception:  # noqa: BLE001 - whatever breaks in a service is a 500 to this client and no other
            traceback.print_exc()
            if call is None:
                return Answer(500, b"The stand-in failed.", {"Content-Type": "text/plain"})
            code = "InternalError" if call.protocol == "ec2" else "InternalFailure"
            return render_error(call, code, "The stand-in failed; its standard error has the traceback.")
        if not any(name.lower() == "x-amzn-requestid" for name in answer.headers):
            answer.headers["x-amzn-RequestId"] = str(uuid4())
        if call is not None:
            self.observe(call, answer)
        return answer


def render_fault(call: Call, fault: Fault) -> Answer:
    """
    Write what a caller sees of a scripted fault.

    Parameters:
        call: The call that meets it.
        fault: The fault.

    Returns:
        The error.

    Raises:
        AnswerLost: There is no answer.
    """
    if fault.kind or (fault.loses_answer and not fault.code):
        raise AnswerLost(fault.kind or "reset")
    code = fault.code or "TransactionCanceledException"
    message, members = f"{call.operation} was refused: a fault scripted by PUT /_local/faults.", {}
    if code == "TransactionCanceledException":
        reasons = _cancellation_reasons(fault)
        codes = ", ".join(reason["Code"] for reason in reasons)
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        members = {"CancellationReasons": reasons, "Message": message}
    wait = fault.retry_after_seconds
    return render_error(call, code, message, retry_after_seconds=wait, members=members, status=fault.status)


def _refuse_old_signature(call: Call) -> Answer | None:
    if call.signed_at is None:
        return None
    now = datetime.now(UTC)
    if abs(now - call.signed_at) <= _SIGNATURE_AGE:
        return None
    message = (
        f"Signature expired: {call.signed_at:%Y%m%dT%H%M%SZ} is now earlier than "
        f"{now - _SIGNATURE_AGE:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} - 5 min.)"
    )
    if call.signed_at > now:
        message = f"Signature not yet current: {call.signed_at:%Y%m%dT%H%M%SZ} is later than {now:%Y%m%dT%H%M%SZ}"
    match call.protocol:
        case "ec2":
            return render_error(call, "RequestExpired", "Request has expired.")
        case "query":
            return render_error(call, "SignatureDoesNotMatch", message)
        case _:
            return render_error(call, "InvalidSignatureException", message)


def _refuse_unknown_region(call: Call) -> Answer | None:
    """Refuse what is signed for a Region without the service: in AWS a real endpoint says so, for a wrong scope."""
    regions = list_regions(call.service)
    if not regions or call.region in regions:
        return None
    message = f"Credential should be scoped to a valid Region, not '{call.region}'."
    match call.protocol:
        case "ec2":
            message = "AWS was not able to validate the provided access credentials"
            return render_error(call, "AuthFailure", message)
        case "query":
            return render_error(call, "SignatureDoesNotMatch", message)
        case _:
            return render_error(call, "InvalidSignatureException", message)


def _unknown_operation(call: Call) -> Answer:
    code = {"ec2": "InvalidAction", "query": "InvalidAction"}.get(call.protocol, "UnknownOperationException")
    return render_error(call, code, f"The stand-in has not built {call.name}.")


def _cancellation_reasons(fault: Fault) -> list[dict[str, str]]:
    reasons = []
    for reason in fault.cancellation_reasons or ["TransactionConflict"]:
        told = reason if isinstance(reason, CancellationReason) else CancellationReason(Code=reason)
        words = told.Message or ("" if told.Code == "None" else f"{told.Code}, scripted by PUT /_local/faults.")
        reasons.append({"Code": told.Code, **({"Message": words} if words else {})})
    return reasons
