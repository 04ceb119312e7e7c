"""The words of the pages, in one place: what a term means, as the pages and the documentation tell it.

Pages show them beside the term and at their end; `docs/definitions.md` has the same table (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Term:
    """A term as printed, and what it means in one or two plain sentences."""

    name: str
    text: str


GLOSSARY: Final[Mapping[str, Term]] = {
    "verdict": Term(
        "Verdict",
        "What kind of market an hour belongs to, said at its close from bars closed by then: Range ok, Range weak, "
        "Trend or Transition.",
    ),
    "RANGE_OK": Term("Range ok", "The price moves sideways in a range that is good enough for a grid."),
    "RANGE_WEAK": Term(
        "Range weak", "The price moves sideways, but the range is too poor or too uncertain to start a grid in."
    ),
    "TREND": Term("Trend", "The price keeps going one way and would leave a grid behind."),
    "TRANSITION": Term("Transition", "Volatility is changing, so that neither a range nor a trend can be relied on."),
    "INSUFFICIENT_DATA": Term(
        "Insufficient data", "Too few bars, or too many missing ones, for a verdict. Nothing is guessed."
    ),
    "confidence": Term(
        "Confidence",
        "Probability, 0 to 1, of the verdict's class: that the market ranges (both range verdicts), trends, or is "
        "volatile (Transition). Fitted on 1h: on 15m to 2h it is right to .06, on shorter and longer bars too high.",
    ),
    "weights": Term("Weights", "The probability of each of the four verdicts; together 100 %."),
    "factors": Term(
        "Decision factors",
        "The rules that were looked at, with their numbers. The one marked \N{LEFT SINGLE QUOTATION MARK}decided"
        "\N{RIGHT SINGLE QUOTATION MARK} settled the verdict.",
    ),
    "scores": Term(
        "Scores",
        "Evidence from 0 to 100. Of trend, vol change and mean rev 50 is what a walk without direction shows; a tenth "
        "of such walks lies above 70.",
    ),
    "trend": Term("Trend score", "How directed the price moves. High speaks against a grid."),
    "vol_change": Term(
        "Vol change score", "How high volatility is beside the market's own past. High speaks against a grid."
    ),
    "mean_rev": Term("Mean reversion score", "How strongly the price returns to its middle. High speaks for a grid."),
    "range_quality": Term(
        "Range quality",
        "How well the discovered range has held: time inside, touches, crossings, failed breakouts, width.",
    ),
    "capacity": Term(
        "Grid capacity", "How many levels a grid would carry after fees, and what a round trip would earn."
    ),
    "range": Term(
        "Discovered range", "The edges that at least three of five methods agree on, from the newest bars alone."
    ),
    "direction": Term("Direction", "Where the indicators of trend point: up, down or flat."),
    "risk": Term("Risk", "The larger of the two dangers to a grid, trend and transition, once its score reaches 60."),
    "3d_regime": Term(
        "3D regime", "Trend, volatility and momentum of the newest closed candle, summed up in one of six states."
    ),
    "TREND_UP": Term("Trend up", "An uptrend with bullish momentum."),
    "TREND_DOWN": Term("Trend down", "A downtrend with bearish momentum."),
    "RANGE": Term("Range", "No trend and low volatility."),
    "CHOPPY": Term("Choppy", "High volatility without a trend and without momentum."),
    "NEUTRAL": Term("Neutral", "None of the other states."),
    "UNDEFINED": Term("Undefined", "Too few bars for the indicators."),
    "candles": Term(
        "Candles",
        "Whether every bar of the hour is there. An exchange gap is confirmed by the exchange; missing bars were not "
        "fetched yet.",
    ),
    "stale": Term(
        "Stale", "The data ends two hours or more before now, or before that of other markets, though more is expected."
    ),
    "edge": Term(
        "Edge of the grid",
        "How far the close is from the nearest edge of the configured grid, in percent and in ATR, the usual size of a "
        "bar.",
    ),
    "hold": Term(
        "Hold probability", "The probability that every close of the next 24 or 72 hours stays inside the grid."
    ),
    "advice": Term(
        "Advice", "What to do with the configured grid, given the verdict and where the price stands to it."
    ),
    "stop": Term(
        "Stop", "A grid was taken out of the market, by a person, a bot or a rule. The gates guard its restart."
    ),
    "gate": Term(
        "Restart gates",
        "After a stop three conditions in turn, before a new grid is permitted: the move has lost its energy, the "
        "price returns to its middle, and a tradable range has held.",
    ),
    "restart": Term(
        "Restart",
        "The small new grid that the gates permit for a few bars. The command regime gates restart starts it.",
    ),
    "probation": Term(
        "Probation",
        "The time after a restart in which the grid is small, with 55 % of the capital. It graduates once it has "
        "earned something in a range that holds.",
    ),
}
"""By the key that templates and scripts use: a code, or a label in lower case with `_` for blanks."""
