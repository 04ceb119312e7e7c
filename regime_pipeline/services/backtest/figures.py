"""The figures of a backtest: plain numbers, None where nothing can be said, as every renderer prints them.

See `measure` for how they are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from regime_pipeline.domain.spells import Dwell

CONFIDENCE_BINS: Final = 10
"""Equal bins of confidence from 0 to 1; the last one holds 1 itself."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Confidences: how many, mean, quartiles, and counts in `CONFIDENCE_BINS` bins."""

    hours: int
    mean: float | None
    low_quartile: float | None
    median: float | None
    high_quartile: float | None
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VerdictFigures:
    """One verdict: hours, share of all hours (0..1), spells as far as the span shows them, confidences."""

    hours: int
    share: float
    dwell: Dwell
    confidence: Distribution


@dataclass(frozen=True, slots=True)
class ReturnFigures:
    """What the bar after did, log returns from close to close.

    Number of bars; mean and standard deviation (n - 1) in basis points; share of rises, 0..1; compounded return of
    holding through all of them, per cent.
    """

    bars: int
    mean_bps: float | None
    volatility_bps: float | None
    share_up: float | None
    total_pct: float | None


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Verdicts beside labels, by hour.

    Parameters
    ----------
    hours : int
        Hours with a label.
    judged : int
        Those of them with a verdict other than INSUFFICIENT_DATA; the figures below speak of these.
    counts : dict of str to dict of str to int
        Hours by label (`tracks.CLASSES`) and verdict (`schema.VERDICTS`).
    same : float or None
        Share of judged hours where the verdict's class is the label.
    balanced : float or None
        The same share within each label that occurs, averaged over these labels.
    kappa : float or None
        Cohen's: 0 is what shuffled verdicts would reach, 1 is always the same.
    recall, precision : dict of str to float or None
        By label: share of its hours that got it; share of the hours that got it which have it.
    bins : tuple of int
        Judged hours by bin of confidence.
    same_in_bins : tuple of float or None
        Share of each bin's hours where the verdict's class is the label.
    """

    hours: int
    judged: int
    counts: dict[str, dict[str, int]]
    same: float | None
    balanced: float | None
    kappa: float | None
    recall: dict[str, float | None]
    precision: dict[str, float | None]
    bins: tuple[int, ...]
    same_in_bins: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class DelayFigures:
    """How soon true changes of class were seen.

    Changes from one hour to the next; those never seen; median hours from a change to the first right verdict of its
    spell; predicted changes of class per true one.
    """

    changes: int
    missed: int
    median_hours: float | None
    flip_ratio: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything about one market, or about all of them together.

    Parameters
    ----------
    asked, hours, missing : int
        Hours of the span; with a verdict row; without.
    without_bar : int
        Hours with a row at whose end no bar closed.
    verdicts : dict of str to VerdictFigures
        By `schema.VERDICTS`.
    confidence : Distribution
        Of every verdict but INSUFFICIENT_DATA.
    transitions : dict of str to dict of str to int
        From the verdict of an hour to that of the hour right after it, staying included.
    changes : int
        Transitions to another verdict.
    changes_per_day : float or None
        Per 24 hours of transitions.
    returns : dict of str to ReturnFigures
        By verdict, and for TREND also by its direction (`TREND up`, `TREND down`); `all` for every bar.
    hindsight : LabelFigures
        Beside hindsight labels: agreement, never accuracy.
    truth : LabelFigures or None
        Beside true labels; None where there are none (real markets).
    delay : DelayFigures or None
        How soon true changes were seen.
    """

    asked: int
    hours: int
    missing: int
    without_bar: int
    verdicts: dict[str, VerdictFigures]
    confidence: Distribution
    transitions: dict[str, dict[str, int]]
    changes: int
    changes_per_day: float | None
    returns: dict[str, ReturnFigures]
    hindsight: LabelFigures
    truth: LabelFigures | None
    delay: DelayFigures | None
