"""The stages of the chain, each one read -> compute -> store; the pipeline and the CLI run the same ones.

Many markets are read, computed and stored together, in groups of bounded size. See `stage_work` for what each stage
computes, `pipeline` for partition keys and Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.domain.features.hourly import features_hash
from regime_pipeline.domain.grids.advice_hourly import advice_hash
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.domain.scoring.scores import scores_hash
from regime_pipeline.domain.verdicts.verdict import verdict_hash
from regime_pipeline.policy import Policy
from regime_pipeline.services.chain import stage_work as work
from regime_pipeline.services.chain.reading import Reading, groups, read_together
from regime_pipeline.services.chain.stage_work import Computed
from regime_pipeline.services.chain.workspace import Workspace

MarketWindow = tuple[Market, Window]


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage did to one market's window.

    Parameters
    ----------
    written, unchanged : int
        Hour partitions written, and left alone because their content was there already.
    per_hour : mapping of str to ndarray, each of shape (hours of the window,)
        Two to four scalars an hour, for the metadata of its partition.
    failure : str
        Why the source gave nothing, in words; its hours stand as missing and are asked for again. Empty otherwise.
    """

    written: int
    unchanged: int
    per_hour: Mapping[str, NDArray[Any]]
    failure: str = ""


Counts = tuple[int, int]
"""Hours written, and hours left alone."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage by name, with the table it writes and the hash of the policy that its rows depend on.

    Parameters
    ----------
    compute : callable
        `(workspace, market, window) -> Reading[Computed]`.
    store : callable
        `(workspace, run, computed of different markets) -> Counts of each`; stores all of them or none.
    """

    name: str
    table: str
    compute: Callable[[Workspace, Market, Window], Reading[Computed]]
    store: Callable[[Workspace, int, Sequence[Computed]], list[Counts]]
    config_hash: Callable[[Policy, NullTable], str]

    def run(self, ws: Workspace, run_id: int, market: Market, window: Window) -> StageReport:
        """Run the stage for one market's window.

        Raises
        ------
        RegimeError
            Something that it reads is absent or wrong, or the database refused.
        """
        (report,) = self.run_together(ws, run_id, [(market, window)])
        if isinstance(report, Exception):
            raise report
        return report

    def run_together(self, ws: Workspace, run_id: int, slices: Sequence[MarketWindow]) -> list[StageReport | Exception]:
        """Run the stage for the windows of many markets; of each return its report, or the error that it failed with.

        Notes
        -----
        A market that fails holds up no other. Rows are those of one market after another.
        """
        numbered = list(enumerate(slices))
        found: dict[int, StageReport | Exception] = {}
        for group in groups(numbered, lambda item: item[1]):
            computed = read_together(ws, [self.compute(ws, *place) for _, place in group])
            stored = _each_stored(computed, partial(self._store, ws, run_id))
            found.update(zip((number for number, _ in group), stored, strict=True))
        return [found[number] for number, _ in numbered]

    def _store(self, ws: Workspace, run_id: int, computed: Sequence[Computed]) -> list[StageReport]:
        for policy_hash in dict.fromkeys(name for each in computed for name in each.policies):
            ws.record_policy(policy_hash)
        counts = self.store(ws, run_id, computed)
        return [StageReport(*hours, each.per_hour, each.failure) for hours, each in zip(counts, computed, strict=True)]


def _each_stored(
    computed: Sequence[Computed | Exception], store: Callable[[Sequence[Computed]], list[StageReport]]
) -> list[StageReport | Exception]:
    """Store what was computed together; where that is refused, one after another, so that one alone is refused."""
    sound = [each for each in computed if isinstance(each, Computed)]
    reports: list[StageReport | Exception]
    try:
        reports = list(store(sound)) if sound else []
    except StorageError as error:
        reports = [error] if len(sound) == 1 else [_stored_alone(each, store) for each in sound]
    done = iter(reports)
    return [each if isinstance(each, Exception) else next(done) for each in computed]


def _stored_alone(
    computed: Computed, store: Callable[[Sequence[Computed]], list[StageReport]]
) -> StageReport | Exception:
    try:
        return store([computed])[0]
    except StorageError as error:
        return error


def _store_candles(ws: Workspace, run_id: int, computed: Sequence[Computed]) -> list[Counts]:
    reports = ws.warehouse.replace_candles_of([each.content for each in computed], run_id)
    return [(bars.written_partitions, bars.unchanged_partitions) for bars, _ in reports]


def _store_snapshots(ws: Workspace, run_id: int, computed: Sequence[Computed]) -> list[Counts]:
    reports = ws.snapshots.write_each([each.content for each in computed])
    ws.warehouse.clear_stale_of("hourly_snapshots", [(each.market, each.window) for each in computed], run_id)
    return [(report.written + report.revised, report.unchanged) for report in reports]


def _store_rows(table: str) -> Callable[[Workspace, int, Sequence[Computed]], list[Counts]]:
    """Return the `store` of a table that holds nothing but the rows given."""

    def store(ws: Workspace, run_id: int, computed: Sequence[Computed]) -> list[Counts]:
        contents = [(each.market, each.window, each.content) for each in computed]
        reports = ws.warehouse.replace_ranges(table, contents, run_id)
        return [(report.written_partitions, report.unchanged_partitions) for report in reports]

    return store


def _no_hash(_policy: Policy, _nulls: NullTable) -> str:
    return ""


def _verdicts_hash(policy: Policy, nulls: NullTable) -> str:
    return verdict_hash(scores_hash(policy, nulls), policy)


def _advice_hash(policy: Policy, nulls: NullTable) -> str:
    return advice_hash(_verdicts_hash(policy, nulls), policy)


def _of_table(
    name: str,
    table: str,
    compute: Callable[[Workspace, Market, Window], Reading[Computed]],
    config_hash: Callable[[Policy, NullTable], str],
) -> Stage:
    return Stage(name, table, compute, _store_rows(table), config_hash)


STAGES = (
    Stage("raw_candles", "candles", work.raw_candles, _store_candles, _no_hash),
    Stage("hourly_snapshots", "", work.hourly_snapshots, _store_snapshots, _no_hash),
    _of_table("candle_regimes", "candle_regime", work.candle_regimes, lambda policy, _: policy.candle_regime.hash),
    _of_table("features", "features", work.features, lambda policy, _: features_hash(policy)),
    _of_table("scores", "scores", work.scores, scores_hash),
    _of_table("regime_verdicts", "regime_verdicts", work.regime_verdicts, _verdicts_hash),
    _of_table("grid_advice", "grid_advice", work.grid_advice, _advice_hash),
    _of_table("dashboard_hours", "dashboard_hours", work.dashboard_hours, _verdicts_hash),
)
"""The chain in order."""


def config_hashes(policy: Policy, nulls: NullTable) -> dict[str, str]:
    """Return the hash of the policy that each stage's rows depend on, by stage; empty where they depend on none."""
    return {stage.name: stage.config_hash(policy, nulls) for stage in STAGES}


def stale_hours(ws: Workspace) -> dict[str, dict[Market, int]]:
    """Return by stage and market how many stored hours another policy wrote; materialize these again.

    Notes
    -----
    Exact: an hour is stale if and only if the sections that its stage reads have other thresholds now. Of listed
    markets, hours outside of the partitions are left out, since nothing can materialize them.
    """
    hashes = config_hashes(ws.policy, ws.nulls)
    found = {stage.name: _stale_of(ws, stage.table, hashes[stage.name]) for stage in STAGES}
    return {name: found[name] for name, config_hash in hashes.items() if config_hash and found[name]}


def _stale_of(ws: Workspace, table: str, config_hash: str) -> dict[Market, int]:
    """Hours of a table that another policy wrote: of listed markets those with a partition, of others all."""
    listed = ws.universe.markets
    inside = ws.warehouse.stale_hours(table, config_hash, ws.universe.start_ms, ws.universe.end_ms)
    every = ws.warehouse.stale_hours(table, config_hash, 0, None)
    return inside | {market: hours for market, hours in every.items() if market not in listed}
