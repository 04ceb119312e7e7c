"""The tables of the page: which figures stand beside one another, under which names, with a line on how to read them.

Truth gives accuracy; hindsight gives agreement and is never called otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from regime_pipeline.services.backtest import cells
from regime_pipeline.services.backtest.cells import Cell, Table, figure, words
from regime_pipeline.services.backtest.charts import ORDER
from regime_pipeline.services.backtest.figures import CONFIDENCE_BINS, DelayFigures, Distribution, Figures, LabelFigures
from regime_pipeline.services.judgement.tracks import CLASSES

_SHADES: Final = 9
TOO_LITTLE: Final = "too little data"
_LABEL_NOTE: Final = (
    "RANGE_OK and RANGE_WEAK count as RANGE, TRANSITION as VOLATILE. Found: share of the label's hours that got its "
    "class. Right: share of the hours of that class which have the label."
)


def verdict_name(verdict: str) -> str:
    """Return a verdict as tables print it."""
    return TOO_LITTLE if verdict == "INSUFFICIENT_DATA" else verdict


def summary_table(found: Mapping[str, tuple[str, Figures]], has_truth: bool) -> Table:
    """Return one row per place: key of report.json to title and figures."""
    header = [
        *("market", "hours", "missing", *(verdict_name(v) for v in ORDER), "changes a day", "median confidence"),
        "agrees with hindsight",
        *(["balanced accuracy"] if has_truth else []),
    ]
    rows = [[words(title), *_summary(path, each, has_truth)] for path, (title, each) in found.items()]
    return Table("Every market in a line", header, rows)


def _summary(path: str, found: Figures, has_truth: bool) -> list[Cell]:
    shares = [
        figure(f"{path}/verdicts/{v}/share", found.verdicts[v].share if found.hours else None, cells.share)
        for v in ORDER
    ]
    row = [
        figure(f"{path}/hours", found.hours, cells.count),
        figure(f"{path}/missing", found.missing, cells.count),
        *shares,
        figure(f"{path}/changes_per_day", found.changes_per_day, cells.unit),
        figure(f"{path}/confidence/median", found.confidence.median, cells.unit),
        figure(f"{path}/hindsight/same", found.hindsight.same, cells.share),
    ]
    if has_truth:
        truth = found.truth
        row.append(figure(f"{path}/truth/balanced", truth.balanced, cells.share) if truth else words(cells.NONE))
    return row


def verdict_table(path: str, found: Figures) -> Table:
    """Return hours, spells and confidences by verdict."""
    header = [
        *("verdict", "hours", "share", "spells", "mean spell", "median spell", "longest spell"),
        *("mean confidence", "25 %", "median", "75 %"),
    ]
    rows = []
    for verdict in ORDER:
        each, at = found.verdicts[verdict], f"{path}/verdicts/{verdict}"
        dwell = each.dwell
        rows.append([
            words(verdict_name(verdict), verdict),
            figure(f"{at}/hours", each.hours, cells.count),
            figure(f"{at}/share", each.share, cells.share),
            figure(f"{at}/dwell/spells", dwell.spells, cells.count),
            figure(f"{at}/dwell/mean_hours", dwell.mean_hours, cells.hours),
            figure(f"{at}/dwell/median_hours", dwell.median_hours, cells.hours),
            figure(f"{at}/dwell/longest_hours", dwell.longest_hours, cells.hours),
            *_confidences(f"{at}/confidence", each.confidence),
        ])  # fmt: skip
    total, at = found.confidence, f"{path}/confidence"
    nothing = [words("")] * 5
    rows.append(
        [words("any of the four"), figure(f"{at}/hours", total.hours, cells.count), *nothing, *_confidences(at, total)]
    )
    return Table("Hours, spells and confidence by verdict", header, rows, "A spell cut by the span counts as seen.")


def _confidences(path: str, found: Distribution) -> list[Cell]:
    names = ("mean", "low_quartile", "median", "high_quartile")
    return [figure(f"{path}/{name}", getattr(found, name), cells.unit) for name in names]


def transition_table(path: str, found: Figures) -> Table:
    """Return how often one verdict followed another, tinted by its share of the row."""
    rows = []
    for origin in ORDER:
        counts = found.transitions[origin]
        total = max(sum(counts.values()), 1)
        rows.append([
            words(verdict_name(origin), origin),
            *(
                figure(f"{path}/transitions/{origin}/{to}", counts[to], cells.count, _shade(counts[to] / total))
                for to in ORDER
            ),
        ])  # fmt: skip
    header = ["from the verdict of an hour", *(f"to {verdict_name(v)}" for v in ORDER)]
    return Table("Transitions, hours", header, rows, "The diagonal is staying. Across a missing hour nothing counts.")


def _shade(part: float) -> int:
    """Tint of a share, 0..1."""
    return round(_SHADES * part)


def return_table(path: str, found: Figures) -> Table:
    """Return what the bar after did, by verdict."""
    rows = [
        [
            words(verdict_name(name), name.partition(" ")[0] if name != "all" else ""),
            figure(f"{path}/returns/{name}/bars", each.bars, cells.count),
            figure(f"{path}/returns/{name}/mean_bps", each.mean_bps, cells.signed),
            figure(f"{path}/returns/{name}/volatility_bps", each.volatility_bps, cells.ratio),
            figure(f"{path}/returns/{name}/share_up", each.share_up, cells.share),
            figure(f"{path}/returns/{name}/total_pct", each.total_pct, cells.percent),
        ]
        for name, each in found.returns.items()
    ]
    header = ["verdict", "bars", "mean, bps", "volatility, bps", "rises", "held through all"]
    return Table("Returns of the bar after", header, rows, "Before costs; a verdict is not advice to trade.")


def label_table(path: str, found: LabelFigures, labels: str) -> Table:
    """Return hours by label and verdict, with the shares found and right."""
    rows = []
    for label in CLASSES:
        counts = found.counts[label]
        total = max(sum(counts.values()), 1)
        rows.append([
            words(label, label),
            *(
                figure(f"{path}/counts/{label}/{v}", counts[v], cells.count, _shade(counts[v] / total))
                for v in ORDER
            ),
            figure(f"{path}/recall/{label}", found.recall[label], cells.share),
            figure(f"{path}/precision/{label}", found.precision[label], cells.share),
        ])  # fmt: skip
    header = [f"{labels} label", *(verdict_name(v) for v in ORDER), "found", "right"]
    return Table(f"Hours by {labels} label and verdict", header, rows, _LABEL_NOTE)


def key_table(path: str, found: LabelFigures, labels: str, delay: DelayFigures | None) -> Table:
    """Return the figures that sum a comparison up; truth gives accuracy, hindsight agreement."""
    word = "accuracy" if labels == "true" else "agreement"
    rows = [
        [words("hours with a label"), figure(f"{path}/hours", found.hours, cells.count)],
        [words("of them with a verdict"), figure(f"{path}/judged", found.judged, cells.count)],
        [words(word), figure(f"{path}/same", found.same, cells.share)],
        [words(f"balanced {word}"), figure(f"{path}/balanced", found.balanced, cells.share)],
        [words("Cohen's kappa"), figure(f"{path}/kappa", found.kappa, cells.unit)],
    ]
    if delay is not None:
        at = f"{path.rpartition('/')[0]}/delay"
        rows += [
            [words("true changes"), figure(f"{at}/changes", delay.changes, cells.count)],
            [words("never seen"), figure(f"{at}/missed", delay.missed, cells.count)],
            [words("median delay"), figure(f"{at}/median_hours", delay.median_hours, cells.hours)],
            [words("changes per true change"), figure(f"{at}/flip_ratio", delay.flip_ratio, cells.ratio)],
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
    for name, found in kinds:
        share = "right" if name == "truth" else "agree with hindsight"
        hours = "hours with a true label" if name == "truth" else "hours with a hindsight label"
        bins = [figure(f"{path}/{name}/bins/{at}", value, cells.count) for at, value in enumerate(found.bins)]
        same = [
            figure(f"{path}/{name}/same_in_bins/{at}", value, cells.share, _shade(value or 0.0))
            for at, value in enumerate(found.same_in_bins)
        ]
        rows += [[words(hours), *bins], [words(share), *same]]
    edges = [f"{at / CONFIDENCE_BINS:.1f} to {(at + 1) / CONFIDENCE_BINS:.1f}" for at in range(CONFIDENCE_BINS)]
    return Table("Does confidence mean anything?", ["confidence", *edges], rows, "The shares should rise to the right.")
