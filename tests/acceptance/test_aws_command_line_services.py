"""What prelaunch uses of SQS, DynamoDB, STS and CloudFormation, as Amazon's own command line sees it."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import infra
from tests.acceptance.aws_command_line import AwsCommandLine

pytestmark = pytest.mark.xdist_group("aws command line")

TEMPLATE = Path(infra.__path__[0]) / "template.yaml"
QUEUES = ("jobs", "jobs-bulk", "jobs-urgent", "requests")


@contextmanager
def own_queue(aws: AwsCommandLine) -> Iterator[str]:
    """A queue of a test's own; yields its URL."""
    with aws.calling("sqs.CreateQueue", "sqs.DeleteQueue"):
        url = aws.ask("sqs", "create-queue", "--queue-name", f"queue-{uuid.uuid4()}")["QueueUrl"]
        yield url
        assert aws.ask("sqs", "delete-queue", "--queue-url", url) is None


def count_messages(aws: AwsCommandLine, url: str) -> tuple[int, int]:
    """How many messages can be received, and how many are hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = aws.ask("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", *names)
    return int(answer["Attributes"][names[0]]), int(answer["Attributes"][names[1]])


def key_of(key: str) -> str:
    return json.dumps({"key": {"S": key}})


def test_messages_are_sent_received_renewed_and_deleted_in_batches(command_line: AwsCommandLine) -> None:
    """A batch answers entry by entry; what is received is hidden, handed back it is not, deleted it is gone."""
    batches = ("sqs.SendMessageBatch", "sqs.ChangeMessageVisibilityBatch", "sqs.DeleteMessageBatch")
    with own_queue(command_line) as url, command_line.calling(*batches, "sqs.ReceiveMessage"):
        entries = [{"Id": name, "MessageBody": f"body {name}", "MessageGroupId": "group"} for name in ("a", "b")]
        sent = command_line.ask("sqs", "send-message-batch", "--queue-url", url, "--entries", json.dumps(entries))
        assert [entry["Id"] for entry in sent["Successful"]] == ["a", "b"]
        received = command_line.ask("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10")
        messages = received["Messages"]
        assert sorted(message["Body"] for message in messages) == ["body a", "body b"]
        assert count_messages(command_line, url) == (0, 2)
        handles = [f"Id={n},ReceiptHandle={message['ReceiptHandle']}" for n, message in enumerate(messages)]
        back = [f"{handle},VisibilityTimeout=0" for handle in handles]
        changed = command_line.ask("sqs", "change-message-visibility-batch", "--queue-url", url, "--entries", *back[:1])
        assert [entry["Id"] for entry in changed["Successful"]] == ["0"]
        assert count_messages(command_line, url) == (1, 1)
        deleted = command_line.ask("sqs", "delete-message-batch", "--queue-url", url, "--entries", handles[1])
        assert [entry["Id"] for entry in deleted["Successful"]] == ["1"]
        assert count_messages(command_line, url) == (1, 0)


def test_a_single_message_carries_attributes(command_line: AwsCommandLine) -> None:
    """A dead letter keeps its reason as an attribute of the message."""
    with own_queue(command_line) as url, command_line.calling("sqs.SendMessage"):
        reason = json.dumps({"reason": {"DataType": "String", "StringValue": "it is no job"}})
        body = ["--message-body", "a body", "--message-attributes", reason]
        assert command_line.ask("sqs", "send-message", "--queue-url", url, *body)["MessageId"]
        named = ["--message-attribute-names", "All", "--attribute-names", "All"]
        (found,) = command_line.ask("sqs", "receive-message", "--queue-url", url, *named)["Messages"]
        assert (found["Body"], found["Attributes"]["ApproximateReceiveCount"]) == ("a body", "1")
        assert found["MessageAttributes"] == {"reason": {"StringValue": "it is no job", "DataType": "String"}}


def test_the_queues_of_the_stack_have_their_dead_letter_queues(command_line: AwsCommandLine) -> None:
    """Each queue is found by its name, and names where its dead letters go."""
    with command_line.calling("sqs.GetQueueUrl", "sqs.GetQueueAttributes"):
        for queue in QUEUES:
            url = command_line.ask("sqs", "get-queue-url", "--queue-name", f"prelaunch-{queue}")["QueueUrl"]
            answer = command_line.ask("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")
            redrive = json.loads(answer["Attributes"]["RedrivePolicy"])
            assert redrive["deadLetterTargetArn"].endswith(f":prelaunch-{queue}-dlq")
    missing = command_line.fail("sqs", "get-queue-url", "--queue-name", "nowhere")
    assert "(AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl operation" in missing


def test_items_are_written_on_a_condition_read_and_deleted(command_line: AwsCommandLine) -> None:
    """A write whose condition does not hold changes nothing; what is read is what was written last."""
    key, table = f"key {uuid.uuid4()}", ["--table-name", "prelaunch-keys"]
    operations = [f"dynamodb.{name}" for name in ("PutItem", "UpdateItem", "GetItem", "BatchGetItem", "DeleteItem")]
    with command_line.calling(*operations):
        item = json.dumps({"key": {"S": key}, "generation": {"N": "1"}})
        put = ("dynamodb", "put-item", *table, "--item", item)
        once = ["--condition-expression", "attribute_not_exists(#k)", "--expression-attribute-names", '{"#k": "key"}']
        assert command_line.ask(*put, *once) is None
        assert "(ConditionalCheckFailedException)" in command_line.fail(*put, *once)
        update = ["--update-expression", "ADD generation :one", "--return-values", "ALL_NEW"]
        values = ["--expression-attribute-values", '{":one": {"N": "1"}}']
        named = (*table, "--key", key_of(key))
        changed = command_line.ask("dynamodb", "update-item", *named, *update, *values)["Attributes"]
        assert changed == {"key": {"S": key}, "generation": {"N": "2"}}
        assert command_line.ask("dynamodb", "get-item", *named, "--consistent-read") == {"Item": changed}
        wanted = json.dumps({"prelaunch-keys": {"Keys": [json.loads(key_of(key))], "ConsistentRead": True}})
        batch = command_line.ask("dynamodb", "batch-get-item", "--request-items", wanted)
        assert (batch["Responses"], batch["UnprocessedKeys"]) == ({"prelaunch-keys": [changed]}, {})
        old = command_line.ask("dynamodb", "delete-item", *named, "--return-values", "ALL_OLD")
        assert old == {"Attributes": changed}
        assert command_line.ask("dynamodb", "get-item", *named) is None


def test_a_transaction_does_all_or_nothing(command_line: AwsCommandLine) -> None:
    """One condition that does not hold cancels every write, and its reason stands at its place."""
    group = str(uuid.uuid4())

    def put(item: str, **more: Any) -> dict[str, Any]:
        return {"Put": {"TableName": "prelaunch-runs", "Item": {"groupId": {"S": group}, "item": {"S": item}}, **more}}

    def transact(*writes: dict[str, Any]) -> tuple[str, ...]:
        return ("dynamodb", "transact-write-items", "--transact-items", json.dumps(writes))

    query = ["--table-name", "prelaunch-runs", "--key-condition-expression", "groupId = :g"]
    values = ["--expression-attribute-values", json.dumps({":g": {"S": group}})]
    with command_line.calling("dynamodb.TransactWriteItems", "dynamodb.Query"):
        command_line.ask(*transact(put("a"), put("b")))
        new = {"ConditionExpression": "attribute_not_exists(groupId)"}
        cancelled = command_line.fail(*transact(put("c"), put("a", **new)))
        assert "(TransactionCanceledException)" in cancelled
        assert "[None, ConditionalCheckFailed]" in cancelled
        pages = command_line.ask("dynamodb", "query", *query, *values, "--page-size", "1")
        assert [item["item"]["S"] for item in pages["Items"]] == ["a", "b"]


def test_a_role_of_another_account_is_assumed_with_its_external_id(command_line: AwsCommandLine) -> None:
    """Only the ExternalId that the role asks for lets a caller in; its credentials are of the other account."""
    account = "444455556666"
    roles = [{"roleName": "recovery", "externalId": "our-secret"}]
    command_line.aws.control("PUT", f"accounts/{account}", {"roles": roles})
    role = ["--role-arn", f"arn:aws:iam::{account}:role/recovery", "--role-session-name", "test"]
    with command_line.calling("sts.AssumeRole", "sts.GetCallerIdentity"):
        assert "(AccessDenied) when calling the AssumeRole operation" in command_line.fail("sts", "assume-role", *role)
        keys = command_line.ask("sts", "assume-role", *role, "--external-id", "our-secret")["Credentials"]
        theirs = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
        assert command_line.ask("sts", "get-caller-identity", **theirs)["Account"] == account
        assert command_line.ask("sts", "get-caller-identity")["Account"] != account


def test_the_template_is_deployed_under_another_name(command_line: AwsCommandLine) -> None:
    """CloudFormation takes the template that production gets; its resources bear the stack's own prefix."""
    stack = "elsewhere"
    operations = [f"cloudformation.{name}" for name in ("CreateStack", "DescribeStacks", "ListStackResources")]
    with command_line.calling(*operations):
        template = ["--template-body", f"file://{TEMPLATE}"]
        parameters = ["--parameters", f"ParameterKey=Stack,ParameterValue={stack}"]
        command_line.ask("cloudformation", "create-stack", "--stack-name", stack, *template, *parameters)
        (found,) = command_line.ask("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"]
        assert found["StackStatus"] == "CREATE_COMPLETE"
        listed = command_line.ask("cloudformation", "list-stack-resources", "--stack-name", stack)
        names = {resource["PhysicalResourceId"].rpartition("/")[2] for resource in listed["StackResourceSummaries"]}
    assert names >= {f"{stack}-{queue}{end}" for queue in QUEUES for end in ("", "-dlq")}
    tables = command_line.ask("dynamodb", "list-tables")["TableNames"]
    assert {name for name in names if name in tables} == {name for name in tables if name.startswith(stack)} != set()
