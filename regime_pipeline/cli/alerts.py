"""`regime alerts`: try the channels of the alerts file, and see what was sent.

See `services.alerts` for what is sent and to whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer
from rich.table import Table

from regime_pipeline.bootstrap import open_workspace, read_universe
from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.cli.output import write_document
from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.alerts.delivery import sender
from regime_pipeline.services.alerts.events import Alert
from regime_pipeline.services.alerts.rules import AlertRules, Channel, load_rules
from regime_pipeline.services.chain.workspace import system_clock
from regime_pipeline.settings import Settings
from regime_pipeline.storage.alert_log import SentAlert

alerts_app = typer.Typer(name="alerts", help="Who is notified of what happens.", no_args_is_help=True)
_TRIES_S = 10.0


@alerts_app.command("test")
def try_command(
    channels: Annotated[list[str] | None, typer.Argument(help="Which channels; all of them without one.")] = None,
) -> None:
    """Read the alerts file and send a test message on its channels; exit code 3 when one was not taken.

    Example: regime alerts test
    """
    settings = Settings()
    rules = load_rules(settings.alerts, read_universe(settings).markets)
    if not rules.channels:
        raise UsageError(f"{settings.alerts} has no channels.", "Write one; docs/operate.md has an example.")
    send = sender(settings.hook_secret, lambda: RetryPolicy.of_this_machine(_TRIES_S))
    is_well = True
    for channel in _chosen(rules, channels):
        now = system_clock()
        message = f"A test of the channel {channel.name}: {_covered(rules, channel)}."
        try:
            send(channel, Alert(f"test {channel.name} {now}", "test", None, now, message))
            out.print(f"{channel.name}: sent; {_covered(rules, channel)}.", highlight=False)
        except RegimeError as error:
            is_well = False
            out.print(f"{channel.name}: failed. {error}", highlight=False, markup=False)
    if not is_well:
        raise typer.Exit(PARTLY_DONE)


@alerts_app.command("log")
def log_command(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most alerts, the newest.")] = 20,
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", help="Form of the output.")] = "table",
) -> None:
    """List what was sent, newest first.

    Example: regime alerts log --limit 50
    """
    with open_workspace(Settings()) as workspace:
        sent = workspace.warehouse.alerts.sent(limit)
    if output_format == "json":
        write_document(sent, "-")
        return
    out.print(_table(sent))


def _chosen(rules: AlertRules, names: Sequence[str] | None) -> Sequence[Channel]:
    known = {channel.name: channel for channel in rules.channels}
    for name in names or []:
        if name not in known:
            raise UsageError(f"There is no channel '{name}'.", f"There are {', '.join(known)}.")
    return [known[name] for name in names or known]


def _covered(rules: AlertRules, channel: Channel) -> str:
    """What a channel gets, in words."""
    parts = [
        f"{', '.join(rule.events)} of {', '.join(rule.markets)}"
        for rule in rules.rules
        if channel.name in rule.channels
    ]
    return f"it gets {'; '.join(parts)}" if parts else "no rule names it"


def _table(sent: Sequence[SentAlert]) -> Table:
    table = Table(pad_edge=False)
    for header in ("sent", "channel", "message"):
        table.add_column(header)
    for alert in sent:
        table.add_row(f"{alert.sent_at:%Y-%m-%d %H:%M}", alert.channel, alert.message)
    return table
