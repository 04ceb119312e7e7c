"""Faults that checks have found and nobody has mended: a run of other hours or markets does not hide them.

Each check keeps, market by market, the hours that failed. A run of the market judges these again, as they are stored
now, beside its own hours; those of other markets stand as they were left. See `checks` for what must hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.services.chain.checks import AssetCheck, CheckResult
from regime_pipeline.services.chain.reading import bounded, read_together
from regime_pipeline.services.chain.workspace import Workspace

MAX_SPANS: Final = 32
"""Spans kept for a check and a market; beyond, one span takes in all of them."""
_KEY: Final = "regime/open_faults"


class KeptValues(Protocol):
    """Where open faults are kept: a table of texts by key, such as Dagster's own of cursors."""

    def get_cursor_values(self, keys: set[str]) -> Mapping[str, str]:
        """Return the texts of those keys that have one."""
        ...

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None:
        """Keep texts by key, in place of what was kept."""
        ...


@dataclass(frozen=True, slots=True)
class OpenFaults:
    """What is still wrong in one market: how often, and in which spans, ascending and apart from each other."""

    count: int = 0
    spans: tuple[Window, ...] = ()

    def __str__(self) -> str:
        return f"{self.count} from {to_iso(self.spans[0].start_ms)} to {to_iso(self.spans[-1].end_ms)}"


NOTHING: Final = OpenFaults()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check says after a run.

    Parameters
    ----------
    here : tuple of str
        Where it fails in the hours of the run.
    elsewhere : mapping of Market to OpenFaults
        What it found earlier, in other hours or markets, and what still stands.
    checked : int
        Rows, hours or files of the run that were looked at.
    """

    here: tuple[str, ...]
    elsewhere: Mapping[Market, OpenFaults]
    checked: int

    @property
    def open_count(self) -> int:
        """All that is wrong, here and elsewhere."""
        return len(self.here) + sum(faults.count for faults in self.elsewhere.values())


def judge(
    checks: Sequence[AssetCheck], ws: Workspace, slices: Sequence[tuple[Market, Window]], kept: KeptValues
) -> list[tuple[AssetCheck, Judgement]]:
    """Run each check over the slices of a run and over what it found earlier in their markets; keep what stands."""
    windows_of: dict[Market, list[Window]] = {}
    for market, window in slices:
        windows_of.setdefault(market, []).append(window)
    known = _read(kept, checks, ws.universe.markets)
    jobs = [
        _Job(check, market, window, is_here)
        for market, windows in windows_of.items()
        for check in checks
        for is_here, of in ((True, windows), (False, _older(check, market, windows, known)))
        for window in of
    ]
    found = _find_together(ws, jobs)
    changed: dict[str, str] = {}
    judged = []
    for check in checks:
        before, here, elsewhere = known[check.name], {}, dict(known[check.name])
        for market in windows_of:
            here[market], older = found[check.name, market, True], found[check.name, market, False]
            elsewhere[market] = _open_faults(market, older)
            standing = _open_faults(market, [*here[market], *older])
            if standing != before.get(market, NOTHING):
                changed[_key(check, market)] = _text(standing)
        judged.append((check, _judgement(here, elsewhere)))
    if changed:
        kept.set_cursor_values(changed)
    return judged


Found = list[tuple[Window, CheckResult]]


@dataclass(frozen=True, slots=True)
class _Job:
    """One check of one window: of the run, or of what the check found earlier."""

    check: AssetCheck
    market: Market
    window: Window
    is_here: bool


def _older(
    check: AssetCheck, market: Market, windows: Sequence[Window], known: Mapping[str, Mapping[Market, OpenFaults]]
) -> tuple[Window, ...]:
    """What a check found earlier in a market, outside the windows of the run."""
    if check.is_rolling:
        return ()
    return outside(known[check.name].get(market, NOTHING).spans, windows)


def _find_together(ws: Workspace, jobs: Sequence[_Job]) -> Mapping[tuple[str, Market, bool], Found]:
    """Run the checks of many markets side by side; raises what the first one raised that did not come to an end."""
    found: dict[tuple[str, Market, bool], Found] = defaultdict(list)
    for group in bounded(jobs, lambda job: (job.market, job.window)):
        results = read_together(ws, [job.check.find(ws, job.market, job.window) for job in group])
        for job, result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                raise result
            found[job.check.name, job.market, job.is_here].append((job.window, result))
    return found


def _judgement(here: Mapping[Market, Found], elsewhere: Mapping[Market, OpenFaults]) -> Judgement:
    results = [result for found in here.values() for _, result in found]
    return Judgement(
        tuple(place for result in results for place in result.offending),
        {market: faults for market, faults in elsewhere.items() if faults.count},
        sum(result.checked for result in results),
    )


def _open_faults(market: Market, found: Found) -> OpenFaults:
    failed = [_around(market, window, result) for window, result in found if result.offending]
    return OpenFaults(sum(len(result.offending) for _, result in found), joined(failed))


def _around(market: Market, window: Window, result: CheckResult) -> Window:
    """The part of a window that holds what fails; all of it where the check names no times."""
    if result.first_to_last_ms is None:
        return window
    first, last = result.first_to_last_ms
    start = max(window.start_ms, first // HOUR_MS * HOUR_MS)
    end = min(window.end_ms, (last // HOUR_MS + 1) * HOUR_MS + market.step_ms // HOUR_MS * HOUR_MS)
    return Window(start, end) if start < end else window


def joined(windows: Sequence[Window]) -> tuple[Window, ...]:
    """Return spans in order, those that overlap or touch as one; one for all where there are too many."""
    spans: list[Window] = []
    for window in sorted(windows):
        if spans and window.start_ms <= spans[-1].end_ms:
            spans[-1] = Window(spans[-1].start_ms, max(spans[-1].end_ms, window.end_ms))
        else:
            spans.append(window)
    return tuple(spans) if len(spans) <= MAX_SPANS else (Window(spans[0].start_ms, spans[-1].end_ms),)


def outside(spans: Sequence[Window], windows: Sequence[Window]) -> tuple[Window, ...]:
    """Return what the windows leave of the spans."""
    left = list(spans)
    for window in windows:
        left = [part for span in left for part in _without(span, window)]
    return tuple(left)


def _without(span: Window, window: Window) -> Iterator[Window]:
    if window.end_ms <= span.start_ms or span.end_ms <= window.start_ms:
        yield span
        return
    if span.start_ms < window.start_ms:
        yield Window(span.start_ms, window.start_ms)
    if window.end_ms < span.end_ms:
        yield Window(window.end_ms, span.end_ms)


def _key(check: AssetCheck, market: Market) -> str:
    return f"{_KEY}/{check.asset}/{check.name}/{market}"


def _read(
    kept: KeptValues, checks: Sequence[AssetCheck], markets: Sequence[Market]
) -> dict[str, dict[Market, OpenFaults]]:
    """What is kept of each check, by its name, for the markets that have open faults."""
    texts = kept.get_cursor_values({_key(check, market) for check in checks for market in markets})
    known = {
        check.name: {market: _faults(texts[_key(check, market)]) for market in markets if _key(check, market) in texts}
        for check in checks
    }
    return {name: {market: faults for market, faults in of.items() if faults.count} for name, of in known.items()}


def _text(faults: OpenFaults) -> str:
    spans = [(span.start_ms, span.end_ms) for span in faults.spans]
    return orjson.dumps({"count": faults.count, "spans": spans}).decode()


def _faults(text: str) -> OpenFaults:
    stored = orjson.loads(text)
    return OpenFaults(stored["count"], tuple(Window(*span) for span in stored["spans"]))
