"""`regime doctor`: checks everything a run needs, says what is wrong and how to fix it, and changes nothing.

The commands that it names do the repairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from regime_pipeline.bootstrap import open_databases, open_workspace, read_policy, read_universe
from regime_pipeline.cli.console import PARTLY_DONE, out
from regime_pipeline.cli.instance import opened_instance
from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.policy import PolicyError
from regime_pipeline.services.alerts.rules import load_rules
from regime_pipeline.services.chain.scheduling import holes
from regime_pipeline.services.chain.stages import stale_hours
from regime_pipeline.services.imports.scale_check import scale_faults
from regime_pipeline.services.last_good_markets import kept_copy
from regime_pipeline.services.null_table import default_null_table
from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import redacted

ApiCheck = tuple[bool, str]
LIVE_SENSORS: Final = ("hourly_market_sensor", "correction_sensor")
_MOST_NAMED: Final = 10


def doctor_command() -> None:
    """Check settings, markets, policy, database and stored rows; exit code 3 when something needs you.

    Example: regime doctor
    """
    settings = Settings()
    table = Table.grid(padding=(0, 2))
    is_well = True
    for name, ask in _questions(settings):
        is_good, said = _answer(ask)
        is_well = is_well and is_good
        table.add_row(Text("ok" if is_good else "!!", style="green" if is_good else "red"), name, Text(said))
    out.print(table)
    if not is_well:
        raise typer.Exit(PARTLY_DONE)


def _questions(settings: Settings) -> Iterator[tuple[str, Callable[[], ApiCheck]]]:
    yield "home", lambda: (True, str(settings.home))
    yield "markets", lambda: _markets(settings)
    yield "policy", lambda: _policy(settings)
    yield "alerts", lambda: _alerts(settings)
    yield "database", lambda: (True, redacted(open_databases(settings).regimes))
    yield "scales", lambda: _scales(settings)
    yield "rows", lambda: _rows(settings)
    yield "corrections", lambda: _corrections(settings)
    yield "holes", lambda: _holes(settings)
    yield "backfills", lambda: _backfills(settings)
    yield "sensors", lambda: _sensors(settings)
    yield "workers", lambda: _workers(settings)


def _answer(ask: Callable[[], ApiCheck]) -> ApiCheck:
    try:
        return ask()
    except (RegimeError, PolicyError) as error:
        return False, str(error)


def _markets(settings: Settings) -> ApiCheck:
    try:
        universe = read_universe(settings)
    except UsageError as error:
        kept = kept_copy(settings.markets, settings.home)
        if not kept.exists():
            raise
        since = to_iso(int(kept.stat().st_mtime) * 1000)
        return False, f"{error} Until it is mended, Dagster goes on with the list of {since} ({kept})."
    return True, f"{len(universe.markets)} in {settings.markets}, from {to_iso(universe.start_ms)}"


def _policy(settings: Settings) -> ApiCheck:
    policy = read_policy(settings)
    default_null_table().check_policy(policy)
    return True, f"{settings.policy or 'the shipped one'}, hash {policy.hash}"


def _alerts(settings: Settings) -> ApiCheck:
    """Whether the alerts file can be read, and whom it notifies."""
    rules = load_rules(settings.alerts, read_universe(settings).markets)
    if not rules.rules:
        return True, f"nobody is notified of anything: {settings.alerts} has no rules"
    return True, f"{len(rules.rules)} rules on {len(rules.channels)} channels in {settings.alerts}"


def _scales(settings: Settings) -> ApiCheck:
    """Whether every market's newest candles fit its price scale, and the list agrees with what is stored."""
    with open_workspace(settings) as workspace:
        faults = scale_faults(workspace)
    return not faults, " ".join(faults) or "every stored market's prices fit its price scale"


def _rows(settings: Settings) -> ApiCheck:
    """Whether the stored rows are of this policy."""
    with open_workspace(settings) as workspace:
        stale = stale_hours(workspace)
        listed = frozenset(workspace.universe.markets)
    ours = {stage: {m: count for m, count in hours.items() if m in listed} for stage, hours in stale.items()}
    parts = [f"{stage} {sum(hours.values()):,} hours of {len(hours)} markets" for stage, hours in ours.items() if hours]
    others = sorted({str(market) for hours in stale.values() for market in hours} - set(map(str, listed)))
    left = f" Left alone, for they are not in markets.toml: {', '.join(others[:_MOST_NAMED])}." if others else ""
    if not parts:
        return True, f"every stored hour is of this policy.{left}" if left else "every stored hour is of this policy"
    return False, f"another policy wrote {', '.join(parts)}. Materialize them again: regime backfill.{left}"


def _corrections(settings: Settings) -> ApiCheck:
    """What corrections, new grid versions and stops have made stale and nothing has computed again yet."""
    with open_workspace(settings) as workspace:
        spans = [(mark, workspace.universe.within(mark.window)) for mark in workspace.warehouse.dirty()]
    marks = [mark for mark, span in spans if span is not None]
    if not marks:
        return True, "nothing waits to be computed again"
    hours, markets = sum(len(span) for _, span in spans if span is not None), {mark.market for mark in marks}
    reasons = ", ".join(dict.fromkeys(mark.reason for mark in marks[:_MOST_NAMED]))
    waits = f"{hours:,} stored hours of {len(markets)} markets are older than a change ({reasons})"
    return True, f"{waits}; `correction_sensor` or `regime backfill` brings them up to date."


def _holes(settings: Settings) -> ApiCheck:
    """Whether every market has every hour between its first and the newest of all markets, and which lack some."""
    with open_workspace(settings) as workspace:
        found = holes(workspace)
    if not found:
        return True, "no market lacks an hour that another has"
    parts = [f"{market} {hours:,} hours" for market, hours in list(found.items())[:_MOST_NAMED]]
    more = f" and {len(found) - _MOST_NAMED} more markets" if len(found) > _MOST_NAMED else ""
    return False, f"hours without a row on the dashboard: {', '.join(parts)}{more}. Materialize them: regime backfill."


def _backfills(settings: Settings) -> ApiCheck:
    """Whether the newest backfill of Dagster went through; one that was repeated with success does not matter."""
    from dagster._core.execution.backfill import BulkActionStatus  # Dagster takes two seconds to import

    with opened_instance(settings) as instance:
        newest = instance.get_backfills(limit=1)
    if not newest:
        return True, "none was ever launched"
    backfill = newest[0]
    broken = {BulkActionStatus.FAILED, BulkActionStatus.FAILING, BulkActionStatus.CANCELED}
    broken |= {BulkActionStatus.COMPLETED_FAILED}
    if backfill.status not in broken:
        return True, f"the newest, {backfill.backfill_id}, is {backfill.status.value.lower()}"
    return False, f"the newest, {backfill.backfill_id}, is {backfill.status.value.lower()}. Launch it again in the UI."


def _sensors(settings: Settings) -> ApiCheck:
    """Whether the sensor of closed hours and that of corrections are on: without them nothing runs by itself."""
    from regime_pipeline.pipeline.sensor_states import is_daemon_alive, sensor_states

    with opened_instance(settings) as instance:
        states = sensor_states(instance, LIVE_SENSORS, settings.sensors)
        is_alive = is_daemon_alive(instance)
    off = [state.name for state in states if not state.is_on]
    if off:
        return True, f"off: {', '.join(off)}. No hour runs by itself until `regime sensors on`."
    return True, f"live operation is on{'' if is_alive else ', and begins when `regime up` runs'}"


def _workers(settings: Settings) -> ApiCheck:
    """Whether a deployment has its daemon, without which no run begins, and its workers, without which none goes on."""
    from regime_pipeline.pipeline.instance import is_deployment
    from regime_pipeline.pipeline.sensor_states import is_daemon_alive

    if not is_deployment(settings.dagster_home):
        return True, "none needed: runs go on beside the daemon"
    with opened_instance(settings) as instance:
        is_alive = is_daemon_alive(instance)
        ask = getattr(instance.run_launcher, "answering_workers", None)
        workers = None if ask is None else ask()
    if not is_alive:
        return False, "no daemon has reported for minutes: sensors and backfills wait. Start it (docs/deploy.md)."
    if workers is None:
        return True, f"{type(instance.run_launcher).__name__} starts a worker for each run"
    if not workers:
        return False, "no worker answers: runs wait in the broker. Start one (docs/deploy.md)."
    return True, f"{len(workers)} answer: {', '.join(workers[:_MOST_NAMED])}"
