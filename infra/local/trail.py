"""
CloudTrail's records of calls that write to DRS or to a launch template. Pure: who called and when are given.

The form is CloudTrail's for each kind of service: DRS's parameters as its JSON has them; EC2's as XML turned into
JSON, in `<Operation>Request` and `<Operation>Response`, where a list of one is no list. What the service model calls
sensitive must never be written down.
"""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

import xmltodict
from botocore.model import Shape
from botocore.serialize import EC2Serializer

from infra.local.aws_models import load_model
from infra.local.call import Call
from infra.local.httpd import Answer
from infra.local.launch_templates.operations import OPERATIONS
from infra.local.launch_templates.query import nest
from infra.local.world import ServiceWrite

Record = dict[str, Any]

_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_READS = ("Describe", "Get", "List")
_ACCEPTED = range(200, 300)
_DRS = "drs.amazonaws.com"
_DRS_ROLE = "AWSServiceRoleForElasticDisasterRecovery"


def is_recorded(call: Call, answer: Answer) -> bool:
    """Tell whether a call is a write that the service has accepted."""
    known = call.service == "drs" or (call.service == "ec2" and call.operation in OPERATIONS)
    return known and answer.status in _ACCEPTED and not call.operation.startswith(_READS)


def record_call(call: Call, answer: Answer, identity: Record, now: datetime) -> Record:
    """
    Record a call of which `is_recorded` is true.

    Parameters:
        call: The call.
        answer: What the service answered.
        identity: Who called, as CloudTrail's `userIdentity`.
        now: When.

    Returns:
        The record.
    """
    if call.service == "drs":
        asked, answered = _drs_elements(call, answer)
    else:
        pairs = parse_qsl(call.request.body.decode(), keep_blank_values=True)
        asked = {f"{call.operation}Request": _from_query(nest(pairs))}
        answered = _typed(xmltodict.parse(answer.body, attr_prefix=""))
    return {
        **_record(call.service, call.operation, call.account_id, call.region, now),
        "userIdentity": identity,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": call.request.headers.get("user-agent", ""),
        "requestParameters": asked,
        "responseElements": answered,
        "requestID": next(text for name, text in answer.headers.items() if name.lower() == "x-amzn-requestid"),
    }


def record_service_write(write: ServiceWrite, now: datetime) -> Record:
    """Record a call that DRS itself made to EC2, by its service-linked role."""
    asked: Record = {"LaunchTemplateId": write.template_id}
    answered: Record = {"launchTemplate": {"launchTemplateId": write.template_id}}
    if write.operation == "ModifyLaunchTemplate":
        asked["DefaultVersion"] = str(write.version_number)
    else:
        asked |= {"SourceVersion": "$Default", "LaunchTemplateData": write.changes}
        version = {"launchTemplateId": write.template_id, "versionNumber": write.version_number}
        answered = {"launchTemplateVersion": version}
    model = load_model("ec2").operation_model(write.operation)
    sent = EC2Serializer().serialize_to_request(asked, model)["body"]
    request_id = str(uuid4())
    return {
        **_record("ec2", write.operation, write.account_id, write.region, now),
        "userIdentity": _drs_identity(write.account_id),
        "sourceIPAddress": _DRS,
        "userAgent": _DRS,
        "requestParameters": {
            f"{write.operation}Request": _from_query(nest((name, _query_text(sent[name])) for name in sent))
        },
        "responseElements": {f"{write.operation}Response": {"requestId": request_id, **answered}},
        "requestID": request_id,
    }


def _record(service: str, operation: str, account_id: str, region: str, now: datetime) -> Record:
    return {
        "eventVersion": "1.09",
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": operation,
        "awsRegion": region,
        "eventID": str(uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account_id,
        "eventCategory": "Management",
    }


def _drs_identity(account_id: str) -> Record:
    arn = f"arn:aws:sts::{account_id}:assumed-role/{_DRS_ROLE}/ElasticDisasterRecovery"
    return {"type": "AssumedRole", "arn": arn, "accountId": account_id, "invokedBy": _DRS}


def _drs_elements(call: Call, answer: Answer) -> tuple[Record, Record | None]:
    model = load_model("drs").operation_model(call.operation)
    asked: Record = json.loads(call.request.body or b"{}")
    for name, member in model.input_shape.members.items():
        if member.serialization.get("location") == "uri":
            asked[name] = unquote(call.request.path.rpartition("/tags/")[2])
    answered = json.loads(answer.body) if answer.body else None
    return _without_secrets(model.input_shape, asked), answered and _without_secrets(model.output_shape, answered)


def _without_secrets(shape: Shape | None, value: Any) -> Any:
    if shape is None or value is None:
        return value
    if shape.metadata.get("sensitive"):
        return _HIDDEN
    match shape.type_name:
        case "structure":
            return {name: _without_secrets(shape.members.get(name), child) for name, child in value.items()}
        case "list":
            return [_without_secrets(shape.member, child) for child in value]
    return value


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_query(node: Any) -> Any:
    """Turn a tree of query parameters into what CloudTrail shows: items carry their number as `tag`."""
    if isinstance(node, str):
        return _value(node)
    if not all(key.isascii() and key.isdigit() for key in node):
        return {name: _from_query(child) for name, child in node.items()}
    items = [_numbered(int(key), _from_query(node[key])) for key in sorted(node, key=int)]
    return items[0] if len(items) == 1 else items


def _numbered(number: int, item: Any) -> Record:
    return {**item, "tag": number} if isinstance(item, dict) else {"content": item, "tag": number}


def _typed(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _typed(child) for name, child in node.items()}
    if isinstance(node, list):
        return [_typed(child) for child in node]
    return _value(node or "")


def _value(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    whole = text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))
    return int(text) if whole else text
