"""Can those who wait be told: by an event bus, a task of Step Functions, a queue for replies? Pure."""

from collections.abc import Sequence

from workers.core.doctor.finding import Finding, not_known, ok, problem
from workers.core.doctor.ports import Verdict

FIFO = ".fifo"


def check_event_bus(bus: str, *, is_there: bool) -> Finding:
    """Say whether the bus is there: EventBridge drops what goes to another one, without a word."""
    if is_there:
        return ok("event bus", bus, "it is there")
    remedy = "Make it, or let PRELAUNCH_EVENT_BUS name one that is there."
    return problem("event bus", bus, "it is not there: nobody is told what has settled", remedy)


def check_task_tokens(subject: str, caller: str, verdicts: Sequence[Verdict]) -> Finding:
    """
    Say whether tasks of Step Functions can be answered.

    Whether any request hands on a task token nothing says beforehand, and a role may be let answer those of single
    state machines alone: so a denial over all of them is no problem by itself.

    Parameters:
        subject: The stack.
        caller: Who answers them.
        verdicts: Of the calls that answer, over every state machine.

    Returns:
        The finding.
    """
    open_ones = [each for each in verdicts if not each.allowed]
    if not open_ones:
        return ok("task tokens", subject, f"allowed: {', '.join(each.action for each in verdicts)}")
    why = "; ".join(dict.fromkeys(f"{each.action}: {each.why}" for each in open_ones))
    actions = ", ".join(each.action for each in open_ones)
    return not_known(
        "task tokens",
        subject,
        f"not known to be allowed on every state machine: {why}",
        f"Where requests hand on a taskToken, allow {actions} to the workers; this was run as {caller}.",
    )


def check_replies(prefix: str, caller: str, queues: Sequence[str], verdicts: Sequence[Verdict]) -> Finding:
    """
    Say whether messages that name a queue for the answer can be answered.

    Only who takes requests answers them, the function or `prelaunch api`, and nothing says whether these credentials
    are theirs: so a denial is no problem by itself.

    Parameters:
        prefix: What the names of such queues begin with.
        caller: Who answers.
        queues: The names of those that are there.
        verdicts: Of the calls that answer, on each of them.

    Returns:
        The finding.
    """
    subject = f"{prefix}…"
    if not queues:
        return ok("replies", subject, "no queue has such a name: a message cannot name one for its answer (replyTo)")
    named = ", ".join(queues)
    ordered = [name for name in queues if name.endswith(FIFO)]
    if ordered:
        remedy = "Let replyTo name a standard queue: answers have no MessageGroupId, which a FIFO queue asks for."
        return problem("replies", subject, f"no answer goes to {', '.join(ordered)}", remedy)
    denied = [each for each in verdicts if each.allowed is False]
    if denied:
        actions = ", ".join(dict.fromkeys(each.action for each in denied))
        why = "; ".join(dict.fromkeys(f"{each.action}: {each.why}" for each in denied))
        remedy = f"Where messages are answered by {caller}, allow it {actions} on queues {subject}"
        return not_known("replies", subject, f"{named}: {why}", remedy)
    unknown = dict.fromkeys(f"{each.action}: {each.why}" for each in verdicts if each.allowed is None)
    if unknown:
        return not_known("replies", subject, f"{named}: {'; '.join(unknown)}")
    return ok("replies", subject, f"allowed to send to {named}")
