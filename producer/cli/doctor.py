"""`prelaunch doctor`: is everything there that prelaunch needs, and what is to be done? Reads alone."""

import asyncio
from collections import Counter

import typer

from producer.cli.answer import ExitStatus, answering, clean, print_json, print_text
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName, read_settings
from producer.cli.text import Document, print_rows
from producer.main import open_doctor
from workers.core.doctor.doctor import Report
from workers.core.doctor.finding import Finding, Outcome
from workers.core.logs import configure_logs

HEADINGS = ("", "Check", "Of", "Seen", "Remedy")
ORDER = (Outcome.PROBLEM, Outcome.NOT_KNOWN, Outcome.OK)


def doctor(*, json: AsJson = False, profile: Profile = None, region: RegionName = None) -> None:
    """
    Look whether everything is there that prelaunch needs.

    Credentials, the clock, tables and queues with their consumers and dead letters, the rules that send to them, who is
    told, and for our own account and that of every stored group its role, DRS, permissions, quotas and recovery jobs.
    Each is ok, a problem with its remedy, or not known, and why. Permissions are those of the credentials that it is
    run with, and of the groups' roles: run it as the workers too. Nothing is written; the calls take turns from the
    workers' rates. Ends with 0 where there is no problem, with 1 where there is one, with 3 where AWS does not answer
    who we are, or does not let it be seen how a table, a queue, the groups, their roles or DRS are.
    """
    with answering(as_json=json):
        report = _examine(AwsChoice(profile, region))
    if json:
        print_json(render_report(report))
    else:
        print_report(report)
    raise typer.Exit(find_status(report))


def find_status(report: Report) -> ExitStatus:
    """Tell how the command ends: what nobody saw is never well, and a problem that was seen comes before that."""
    if report.has_problem and report.is_reachable:
        return ExitStatus.FAILED
    return ExitStatus.WELL if report.is_seen else ExitStatus.NOT_REACHABLE


def render_report(report: Report) -> Document:
    """Render what the doctor found, the worst first."""
    found = sorted(report.findings, key=lambda finding: ORDER.index(finding.outcome))
    counts = Counter(finding.outcome for finding in found)
    return {
        "outcome": next((outcome.value for outcome in ORDER if counts[outcome]), Outcome.NOT_KNOWN.value),
        "counts": {outcome.value: counts[outcome] for outcome in ORDER},
        "findings": [_render(finding) for finding in found],
    }


def print_report(report: Report) -> None:
    """Print how many there are of each outcome, then a line a check."""
    document = render_report(report)
    counts = document["counts"]
    problems = counts[Outcome.PROBLEM.value]
    print_text(
        f"{problems} problem{'' if problems == 1 else 's'}, {counts[Outcome.NOT_KNOWN.value]} not known,"
        f" {counts[Outcome.OK.value]} ok."
    )
    members = ("outcome", "check", "subject", "saw", "remedy")
    print_rows(HEADINGS, [tuple(clean(each[name] or "") for name in members) for each in document["findings"]])


def _render(finding: Finding) -> Document:
    return {
        "outcome": finding.outcome.value,
        "check": finding.check,
        "subject": finding.subject,
        "saw": finding.saw,
        "remedy": finding.remedy or None,
    }


def _examine(aws: AwsChoice) -> Report:
    configure_logs(only_errors=True)
    settings = read_settings()

    async def examine() -> Report:
        async with open_doctor(settings, region=aws.region, profile=aws.profile) as opened:
            return await opened.examine()

    return asyncio.run(examine())
