"""The shapes of dead letters, as /openapi.json declares them. See `schemas`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from producer.http.run_schemas import Count

_CLOSED = ConfigDict(extra="forbid")


class _Letter(TypedDict):
    queue: Annotated[str, Field(description="the queue that it came from, without the stack's name")]
    messageId: Annotated[str, Field(description="its own on the dead-letter queue")]
    groupId: str | None
    sourceServerId: str | None
    waveId: str | None


@with_config(_CLOSED)
class DeadLetter(_Letter):
    """A message that no worker could do."""

    originalMessageId: Annotated[str | None, Field(description="that of the workers' log lines")]
    actor: Annotated[str | None, Field(description="what it asked for; null where that cannot be read")]
    reason: Annotated[str, Field(description="why it was dead-lettered")]
    receiveCount: Annotated[int, Field(ge=0, description="how often it had been received by then")]
    sentAt: datetime | None
    deadLetteredAt: Annotated[datetime | None, Field(description="null where SQS itself, or somebody, moved it")]
    fault: Annotated[str | None, Field(description="why it cannot be redriven; null where it can")]


@with_config(_CLOSED)
class DeadLetterList(TypedDict):
    """Dead letters, the latest first."""

    deadLetters: list[DeadLetter]
    approximateCounts: Annotated[dict[str, Count], Field(description="by queue; SQS counts roughly")]
    truncated: Annotated[
        bool,
        Field(
            description="whether a queue may have more than the 1,000 that were looked through, in no order of theirs,"
            " also because somebody else looks at some; or whether more were found than are shown"
        ),
    ]


@with_config(_CLOSED)
class RedrivenLetter(_Letter):
    """A letter that is deleted, for its work is under way or done."""

    result: Annotated[
        Literal["applying", "sent", "done"],
        Field(description="a run has it in hand; its message was sent again; or nothing is left to do"),
    ]
    runId: Annotated[str | None, Field(description="of the run that has it in hand")]


@with_config(_CLOSED)
class LeftLetter(_Letter):
    """A letter that stays."""

    why: str


@with_config(_CLOSED)
class RedrivenLetters(TypedDict):
    """What became of the letters that were asked for."""

    redriven: list[RedrivenLetter]
    left: list[LeftLetter]
    notFound: Annotated[list[str], Field(description="message ids that are no letter's")]
    truncated: Annotated[bool, Field(description="whether there may be more letters than were looked through")]
