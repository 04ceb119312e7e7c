"""The tables and the timeline of the report: which figures appear together, and a line on how to read them.

Against the true labels it says accuracy, against hindsight labels agreement, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.dashboard.components.charts import ORDER, share
from regime_pipeline.dashboard.components.sparklines import Sparkline, strip
from regime_pipeline.dashboard.components.tables import Cell, Table, count, dwell_table, figure, moves_table, said
from regime_pipeline.dashboard.data.payload import VERSION, coded, decimal
from regime_pipeline.dashboard.data.prices import DrawnPrices
from regime_pipeline.dashboard.formatting import NOTHING, decimals_of, duration, name, number, signed
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import HOUR_MS
from regime_pipeline.domain.market_data.window import Window
from regime_pipeline.domain.schema import DIRECTIONS, VERDICTS
from regime_pipeline.domain.spells import StateDwell
from regime_pipeline.services.backtest.classes import ABSTAIN, CLASSES
from regime_pipeline.services.backtest.figures import CONFIDENCE_BINS, DelayFigures, Distribution, Figures, LabelFigures
from regime_pipeline.services.backtest.hours import BacktestHours

LABELS: Final = ("truth", "hindsight")
"""Kinds of labels, each a ribbon below that of the verdicts where there are any."""
INKS: Final = ("RANGE_OK", "TREND", "TRANSITION")
"""By code into `CLASSES`, the verdict that says the same: its colour and shape are the label's."""


def chart_payload(hours: BacktestHours, window: Window) -> dict[str, Any]:
    """Return a market's rows as `static/codec.js` of the dashboard reads them (see `dashboard.payload`).

    Parameters
    ----------
    hours : BacktestHours
        The rows; a row above the hour stands for every hour of its bar.
    window : Window
        The span, which is the calendar; nothing is drawn beyond it.
    """
    columns = {
        "close": decimal(on_calendar(hours, hours.close, window), decimals_of(hours.price_scale)),
        "verdict": coded(on_calendar(hours, hours.verdict, window), VERDICTS),
        "confidence": decimal(on_calendar(hours, hours.confidence, window), 2),
        "direction": coded(on_calendar(hours, hours.direction, window), DIRECTIONS),
    }
    if hours.market.observation_ms == HOUR_MS:
        columns["close"] = {"of": "bars", "scale": columns["close"]["scale"]}
    for kind in labels_of(hours):
        codes = getattr(hours, kind)
        known = np.where(codes == ABSTAIN, np.nan, codes)
        columns[kind] = coded(on_calendar(hours, known, window), CLASSES, INKS)
    return {
        "version": VERSION,
        "market": hours.market.key,
        "price_scale": hours.price_scale,
        "start_ms": window.start_ms,
        "hours": len(window),
        "bars": [_bars(hours, window)],
        "columns": columns,
        "outcomes": [],
        "factors": [],
        "grids": [],
        "events": [],
    }


def labels_of(hours: BacktestHours) -> list[str]:
    """Return the kinds of labels that the market has."""
    return [name for name in LABELS if np.any(getattr(hours, name) != ABSTAIN)]


def picture(hours: BacktestHours, window: Window) -> Sparkline:
    """Return the span as a small picture that needs no script."""
    close, verdict = (on_calendar(hours, column, window) for column in (hours.close, hours.verdict))
    return strip(close, verdict, f"Verdicts of {len(window)} hours")


def on_calendar(hours: BacktestHours, values: NDArray[Any], window: Window) -> Float64:
    """Return a column for every hour of the window, shape (n,); NaN where no row is."""
    column = np.full(len(window), np.nan)
    end = (hours.hour_start - window.start_ms) // HOUR_MS
    for back in range(hours.market.observation_ms // HOUR_MS):
        inside = (end - back >= 0) & (end - back < len(window))
        column[end[inside] - back] = values[inside]
    return column


def _bars(hours: BacktestHours, window: Window) -> dict[str, Any]:
    """The closes on the calendar of observations."""
    step_ms = hours.market.observation_ms
    first = window.start_ms // step_ms * step_ms
    close = np.full((window.end_ms - first) // step_ms, np.nan)
    close[(hours.hour_start + HOUR_MS - first) // step_ms - 1] = hours.close * hours.price_scale
    return DrawnPrices.of(first, step_ms, close).document


_LABEL_NOTE: Final = (
    "Range ok and Range weak count as Range, Transition as Volatile. Found: share of the label's hours that got its "
    "class. Right: share of the hours of that class which have the label."
)


def summary_table(found: Mapping[str, tuple[str, Figures]], strips: Mapping[str, Sparkline], has_truth: bool) -> Table:
    """Return one row per place: key of report.json to title and figures; `strips` by title."""
    header = [
        *("market", "hours", "missing", *map(name, ORDER), "changes a day", "median confidence"),
        "agrees with hindsight",
        *(["balanced accuracy"] if has_truth else []),
        "the span",
    ]
    rows = [
        [said(title), *_summary(path, each, has_truth), Cell(NOTHING, strip=strips.get(title))]
        for path, (title, each) in found.items()
    ]
    return Table("Every market in a line", header, rows, is_wide=True)


def _summary(path: str, found: Figures, has_truth: bool) -> list[Cell]:
    shares = [
        figure(f"{path}/verdicts/{v}/share", found.verdicts[v].share if found.hours else None, share) for v in ORDER
    ]
    row = [
        figure(f"{path}/hours", found.hours, count),
        figure(f"{path}/missing", found.missing, count),
        *shares,
        figure(f"{path}/changes_per_day", found.changes_per_day, number),
        figure(f"{path}/confidence/median", found.confidence.median, number),
        figure(f"{path}/hindsight/same", found.hindsight.same, share),
    ]
    if has_truth:
        truth = found.truth
        row.append(figure(f"{path}/truth/balanced", truth.balanced, share) if truth else said(NOTHING))
    return row


def run_table(path: str, found: Figures) -> Table:
    """Return how much and how long each verdict was there, as the dashboard tells it."""
    states = [StateDwell(verdict, found.verdicts[verdict].share, found.verdicts[verdict].dwell) for verdict in ORDER]
    return dwell_table(
        "How long verdicts last",
        states,
        lambda verdict, field: f"{path}/verdicts/{verdict}/{'' if field == 'share' else 'dwell/'}{field}",
    )


def transition_table(path: str, found: Figures) -> Table:
    """Return how often one verdict followed another, as the dashboard tells it."""
    counts = {origin: {to: found.transitions[origin][to] for to in ORDER} for origin in ORDER}
    note = "The diagonal is staying. Across a missing hour nothing counts."
    return moves_table("Verdict that comes next, count and share of the row", counts, f"{path}/transitions", note)


def verdict_confidence_table(path: str, found: Figures) -> Table:
    """Return hours and confidences by verdict."""
    places = {said(name(v), v): (f"{path}/verdicts/{v}", found.verdicts[v].confidence) for v in ORDER}
    rows = [
        [title, figure(f"{at}/hours", each.hours, count), *_confidences(f"{at}/confidence", each)]
        for title, (at, each) in places.items()
    ]
    total, at = found.confidence, f"{path}/confidence"
    rows.append([said("Any of the four"), figure(f"{at}/hours", total.hours, count), *_confidences(at, total)])
    header = ["verdict", "hours", "mean", "25 %", "median", "75 %"]
    return Table("Confidence by verdict", header, rows)


def _confidences(path: str, found: Distribution) -> list[Cell]:
    fields = ("mean", "low_quartile", "median", "high_quartile")
    return [figure(f"{path}/{field}", getattr(found, field), number) for field in fields]


def return_table(path: str, found: Figures) -> Table:
    """Return what the bar after did, by verdict."""
    rows = [
        [
            said(name(group), group.partition(" ")[0] if group != "all" else ""),
            figure(f"{path}/returns/{group}/bars", each.bars, count),
            figure(f"{path}/returns/{group}/mean_bps", each.mean_bps, signed),
            figure(f"{path}/returns/{group}/volatility_bps", each.volatility_bps, _ratio),
            figure(f"{path}/returns/{group}/share_up", each.share_up, share),
            figure(f"{path}/returns/{group}/total_pct", each.total_pct, lambda value: f"{signed(value)} %"),
        ]
        for group, each in found.returns.items()
    ]
    header = ["verdict", "bars", "mean, bps", "volatility, bps", "rises", "held through all"]
    return Table("Returns of the bar after", header, rows, "Before costs; a verdict is not advice to trade.")


def _ratio(value: float) -> str:
    return number(value, 1)


def label_table(path: str, found: LabelFigures, labels: str) -> Table:
    """Return hours by label and verdict, with the shares found and right."""
    rows = []
    for label, ink in zip(CLASSES, INKS, strict=True):
        counts = found.counts[label]
        total = max(sum(counts.values()), 1)
        hours = [figure(f"{path}/counts/{label}/{v}", counts[v], count, counts[v] / total) for v in ORDER]
        parts = [
            figure(f"{path}/{kind}/{label}", getattr(found, kind)[label], share) for kind in ("recall", "precision")
        ]
        rows.append([said(name(label), ink), *hours, *parts])
    header = [f"{labels} label", *map(name, ORDER), "found", "right"]
    return Table(f"Hours by {labels} label and verdict", header, rows, _LABEL_NOTE)


def key_table(path: str, found: LabelFigures, labels: str, delay: DelayFigures | None) -> Table:
    """Return the figures that sum a comparison up; truth gives accuracy, hindsight agreement."""
    word = "accuracy" if labels == "true" else "agreement"
    rows = [
        [said("hours with a label"), figure(f"{path}/hours", found.hours, count)],
        [said("of them with a verdict"), figure(f"{path}/judged", found.judged, count)],
        [said(word), figure(f"{path}/same", found.same, share)],
        [said(f"balanced {word}"), figure(f"{path}/balanced", found.balanced, share)],
        [said("Cohen's kappa"), figure(f"{path}/kappa", found.kappa, number)],
    ]
    if delay is not None:
        at = f"{path.rpartition('/')[0]}/delay"
        rows += [
            [said("true changes"), figure(f"{at}/changes", delay.changes, count)],
            [said("never seen"), figure(f"{at}/missed", delay.missed, count)],
            [said("median delay"), figure(f"{at}/median_hours", delay.median_hours, duration)],
            [said("changes per true change"), figure(f"{at}/flip_ratio", delay.flip_ratio, _ratio)],
        ]
    note = (
        "The simulator knows which regime made each hour."
        if labels == "true"
        else "Not accuracy: these labels look ahead, no verdict could."
    )
    return Table("Accuracy" if labels == "true" else "Agreement with hindsight", ["figure", "value"], rows, note)


def confidence_table(path: str, kinds: Sequence[tuple[str, LabelFigures]]) -> Table:
    """Return judged hours and the share of them with the label's class, by bin of confidence."""
    rows = []
    for kind, found in kinds:
        hours = "hours with a true label" if kind == "truth" else "hours with a hindsight label"
        right = "right" if kind == "truth" else "agree with hindsight"
        bins = [figure(f"{path}/{kind}/bins/{at}", value, count) for at, value in enumerate(found.bins)]
        same = [
            figure(f"{path}/{kind}/same_in_bins/{at}", value, share, value)
            for at, value in enumerate(found.same_in_bins)
        ]
        rows += [[said(hours), *bins], [said(right), *same]]
    edges = [f"{at / CONFIDENCE_BINS:.1f} to {(at + 1) / CONFIDENCE_BINS:.1f}" for at in range(CONFIDENCE_BINS)]
    header, note = ["confidence", *edges], "The shares should rise to the right."
    return Table("Does confidence mean anything?", header, rows, note, is_wide=True)
