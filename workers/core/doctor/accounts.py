"""What was found in an account and Region: the way in, DRS, permissions, quotas. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workers.core.doctor.finding import Finding, Outcome, not_known, ok, problem, unanswered
from workers.core.doctor.ports import JobsSeen, Verdict
from workers.core.errors import AccountNotInitialized, PrelaunchError
from workers.core.model.group import Target
from workers.core.wave_plan import PART_SIZE

NAMED = 3
"""So many groups are named of an account; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """An account and Region, how we get there, and whose source servers are there."""

    target: Target
    groups: tuple[str, ...] = ()
    """The names of the groups; none for our own account and Region, where there may be none."""
    source_server_ids: tuple[str, ...] = ()
    """A few of their members, of as many groups as can be."""

    @property
    def subject(self) -> str:
        """Name it; the external id never is."""
        role = f", role {self.target.assume_role_name}" if self.target.assume_role_name else ""
        return f"account {self.target.account_id}, {self.target.region}{role}"

    @property
    def whose(self) -> str:
        """Name its groups."""
        named = ", ".join(self.groups[:NAMED])
        more = len(self.groups) - NAMED
        return f"{named} and {more} more" if more > 0 else named


@dataclass(frozen=True, slots=True)
class WayIn:
    """What AWS tells of a role that it does not let us assume. None: it does not tell."""

    may_ask: bool | None
    """Whether our own policies let us call AssumeRole for it."""
    is_there: bool | None
    """Whether there is such a role."""
    opened_by: Place | None
    """Where the same role let us in with another external id."""


def check_role(place: Place, caller: str, refused: PrelaunchError | None, way_in: WayIn | None = None) -> Finding:
    """
    Say whether a role lets us in, and where it does not what is wrong with it, as far as AWS lets that be told.

    STS answers AccessDenied for a role that is not there, for a trust policy and for an external id alike.

    Parameters:
        place: Where.
        caller: Our own ARN.
        refused: What STS answered; None where it let us in.
        way_in: What else is known then.

    Returns:
        The finding.
    """
    role = place.target.assume_role_name or ""
    if refused is None:
        return ok("role", place.subject, f"assumed, for {place.whose}")
    groups = f" (groups: {place.whose})"
    if way_in is None:
        return unanswered("role", place.subject, refused, after=groups)
    saw = f"{refused.code}: {refused.message}{groups}"
    return problem("role", place.subject, saw, _say_way_in(place, role, caller, way_in))


def _say_way_in(place: Place, role: str, caller: str, way_in: WayIn) -> str:
    account = place.target.account_id
    given = "one" if place.target.external_id is not None else "none"
    if way_in.opened_by is not None:
        return (
            f"The ExternalId is wrong: the role lets in group {way_in.opened_by.groups[0]}, which has another one."
            f" Update {place.whose} with the right externalId."
        )
    if way_in.may_ask is False:
        return f"Your own policies do not allow it: allow {caller} sts:AssumeRole on role {role} of account {account}."
    if way_in.is_there is False:
        return f"There is no role {role} in account {account}: make it, or update {place.whose} with the right name."
    if way_in.is_there:
        return (
            f"Role {role} is there: let its trust policy let in {caller}, with the ExternalId of the groups ({given})."
        )
    return (
        f"AWS does not say which of these it is: account {account} has no role {role}; its trust policy does not let"
        f" in {caller}; or it asks for another ExternalId than the groups have ({given}). Look there, or update them."
    )


def check_initialised(place: Place, source_server_id: str | None, refused: PrelaunchError | None) -> Finding:
    """
    Say whether DRS is initialised.

    Parameters:
        place: Where.
        source_server_id: A source server that DRS has there.
        refused: What DRS answered instead.

    Returns:
        The finding.
    """
    if refused is None:
        servers = "it has source servers" if source_server_id else "it has no source server yet"
        return ok("DRS", place.subject, f"initialised; {servers}")
    if isinstance(refused, AccountNotInitialized):
        remedy = (
            f"Initialise DRS there: its console does, or `aws drs initialize-service --region {place.target.region}`."
        )
        return problem("DRS", place.subject, f"{refused.code}: {refused.message}", remedy)
    return unanswered("DRS", place.subject, refused)


def check_permissions(subject: str, caller: str, verdicts: Sequence[Verdict]) -> list[Finding]:
    """
    Say what may be called, a line for each service; a line is ok only if every call of it is known to be allowed.

    Parameters:
        subject: Where.
        caller: Who calls.
        verdicts: Of each call.

    Returns:
        The findings.
    """
    services = dict.fromkeys(_service_of(each) for each in verdicts)
    return [
        _check_service(service, subject, caller, [each for each in verdicts if _service_of(each) == service])
        for service in services
    ]


def _service_of(verdict: Verdict) -> str:
    return verdict.action.partition(":")[0]


def _check_service(service: str, subject: str, caller: str, verdicts: Sequence[Verdict]) -> Finding:
    check = f"permissions {service}"
    denied = [each for each in verdicts if each.allowed is False]
    unknown = [each for each in verdicts if each.allowed is None]
    open_ones = f"; not known: {_say(unknown)}" if unknown else ""
    if denied:
        remedy = f"Allow {caller} {', '.join(dict.fromkeys(each.action for each in denied))}."
        return problem(check, subject, f"{_say(denied)}{open_ones}", remedy)
    if unknown:
        return not_known(check, subject, _say(unknown))
    return ok(check, subject, f"allowed: {', '.join(dict.fromkeys(_name(each) for each in verdicts))}")


def _name(verdict: Verdict) -> str:
    return verdict.action.partition(":")[2]


def _say(verdicts: Iterable[Verdict]) -> str:
    """Say why, each reason once with all that it stands for."""
    reasons: dict[str, list[str]] = {}
    for each in verdicts:
        actions = reasons.setdefault(each.why, [])
        actions += [each.action] if each.action not in actions else []
    return "; ".join(f"{', '.join(actions)}: {why}" for why, actions in reasons.items())


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of DRS's that waves and groups run into."""

    code: str
    name: str
    assumed: int
    must_be: bool = False
    """Whether prelaunch counts on at least so much."""


JOBS = Quota("L-D88FAC3A", "recovery jobs in progress", 20)
SERVERS_IN_JOBS = Quota("L-05AFA8C6", "source servers in all jobs", 500)
SERVERS_A_JOB = Quota("L-B827C881", "source servers in a job", PART_SIZE, must_be=True)
QUOTAS = (
    JOBS,
    SERVERS_IN_JOBS,
    SERVERS_A_JOB,
    Quota("L-E28BE5E0", "source servers", 4000),
    Quota("L-C1D14A2B", "source servers that replicate", 300),
)
"""Source of codes and numbers: AWS General Reference, "AWS Elastic Disaster Recovery endpoints and quotas"."""


def check_quotas(place: Place, found: Mapping[str, float] | PrelaunchError) -> Finding:
    """
    Compare the quotas with what prelaunch takes them for.

    Parameters:
        place: Where.
        found: The values that Service Quotas has, by code; or what it answered instead.

    Returns:
        The finding.
    """
    assumed = ", ".join(f"{quota.assumed:,} {quota.name}" for quota in QUOTAS)
    if isinstance(found, PrelaunchError):
        after = f"; prelaunch assumes {assumed}"
        return unanswered("quotas", place.subject, found, before="Service Quotas: ", after=after)
    said = ", ".join(f"{found[quota.code]:,.0f} {quota.name}" for quota in QUOTAS if quota.code in found)
    missing = [quota for quota in QUOTAS if quota.code not in found]
    if any(quota.must_be and found.get(quota.code, quota.assumed) < quota.assumed for quota in QUOTAS):
        remedy = f"A wave asks for {PART_SIZE} source servers a job: have the quota raised, or it will be refused."
        return problem("quotas", place.subject, said, remedy)
    if missing:
        unread = ", ".join(f"{quota.name} ({quota.assumed:,} assumed)" for quota in missing)
        return not_known("quotas", place.subject, f"Service Quotas has no value of: {unread}; it has: {said or 'none'}")
    return ok("quotas", place.subject, said)


def check_jobs(place: Place, jobs: JobsSeen | PrelaunchError, quotas: Mapping[str, float] | PrelaunchError) -> Finding:
    """
    Say how much of the quotas of recovery jobs is in use.

    Parameters:
        place: Where.
        jobs: Those that have not ended; or what DRS answered instead.
        quotas: As in `check_quotas`.

    Returns:
        The finding.
    """
    if isinstance(jobs, PrelaunchError):
        return unanswered("recovery jobs", place.subject, jobs)
    known = {} if isinstance(quotas, PrelaunchError) else quotas
    used = ((JOBS, jobs.jobs), (SERVERS_IN_JOBS, jobs.source_servers))
    most = {quota: known.get(quota.code, quota.assumed) for quota, _ in used}
    saw = ", ".join(f"{count:,} of {most[quota]:,.0f} {quota.name}" for quota, count in used)
    if any(count >= most[quota] for quota, count in used):
        remedy = "A wave waits until some have ended: see `aws drs describe-jobs`, and who started them."
        return problem("recovery jobs", place.subject, saw, remedy)
    return Finding("recovery jobs", place.subject, Outcome.OK, saw)
