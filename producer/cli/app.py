"""The commands, their help and what stands before them."""

from importlib.metadata import version
from typing import Annotated

import typer

from producer.cli import dlq, doctor, fleet, fleet_import, group, history, plan, processes, rollback, status, wave
from producer.cli.reapply import command as bulk

HELP = """
Keep the launch settings of DRS source servers applied before they are needed.

All but local, api, worker, demo and serve work in this process, with your own AWS credentials: IAM decides what they
may do. They, api and worker speak to the AWS that the SDK's variables name, or --profile and --region.

\b
Exit status:
    0  all well
    1  something failed, is not there, or stands in the way as things are; of diff: something differs
    2  wrong use: an option, a setting, a file, or a request that is refused
    3  not reachable: credentials, Region, endpoint, tables or queues
  130  ended by Ctrl-C
  141  whoever read the output went away
  143  ended by SIGTERM
"""

app = typer.Typer(
    name="prelaunch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Frames would cut a message into several lines.
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prelaunch {version('prelaunch')}")
        raise typer.Exit


@app.callback(help=HELP)
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before a command."""


app.add_typer(group.group, name="group")
app.command()(bulk.reapply)
app.command()(status.status)
app.command()(plan.plan)
app.command()(history.history)
app.command()(rollback.rollback)
app.add_typer(wave.wave, name="wave")
app.add_typer(dlq.dlq, name="dlq")
app.command()(doctor.doctor)
for command in (fleet.export, fleet.diff, fleet.apply, fleet.schema):
    app.command()(command)
app.command("import")(fleet_import.import_groups)
for command in (processes.local, processes.api, processes.worker, processes.demo, processes.serve):
    app.command()(command)
