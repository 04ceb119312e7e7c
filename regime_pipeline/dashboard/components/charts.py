"""Charts of figures, each a pure function from numbers to SVG: shares, confidences, returns.

See `sparklines` for small pictures of a market, `static/market.js` for interactive charts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, Self

from regime_pipeline.dashboard.components.tables import count
from regime_pipeline.dashboard.formatting import name as word
from regime_pipeline.dashboard.formatting import percent, signed
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.backtest.figures import ReturnFigures

WIDTH: Final = 960.0


class Svg(str):
    """Finished SVG: every text in it is escaped, so templates take it as it is."""

    __slots__ = ()

    def __html__(self) -> Self:
        """Return itself: what templates ask of a text that needs no escaping."""
        return self


def number(value: float) -> str:
    """Return a coordinate: one decimal, no trailing zero, no minus zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(tag: str, content: str = "", **attributes: str | float) -> Svg:
    """Return `<tag …>content</tag>`; `_` in names becomes `-`, a trailing one is dropped; plain text is escaped."""
    parts = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else number(value))}"'
        for name, value in attributes.items()
    ]
    inside = content if isinstance(content, Svg) else escape(content)
    return Svg(f"<{tag}{''.join(parts)}>{inside}</{tag}>" if inside else f"<{tag}{''.join(parts)}/>")


def join(parts: Sequence[Svg]) -> Svg:
    """Return elements one after the other."""
    return Svg("".join(parts))


def rectangle(x: float, y: float, width: float, height: float, name: str, title: str = "") -> Svg:
    """Return a rectangle of a class, with a tooltip if wanted."""
    inside = element("title", title) if title else ""
    return element("rect", inside, class_=name, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0))


def label(x: float, y: float, text: str, name: str = "t", anchor: str = "start") -> Svg:
    """Return a line of text of a class."""
    return element("text", text, class_=name, x=x, y=y, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, name: str) -> Svg:
    """Return a straight line of a class."""
    return element("line", class_=name, x1=x1, y1=y1, x2=x2, y2=y2)


def drawing(height: float, description: str, parts: Sequence[Svg], width: float = WIDTH) -> Svg:
    """Return the whole drawing, as wide as its place; `description` is what a screen reader says."""
    return element(
        "svg", join(parts), class_="chart", viewBox=f"0 0 {number(width)} {number(height)}", role="img",
        aria_label=description,
    )  # fmt: skip


ORDER: Final = (*VERDICTS[1:], VERDICTS[0])
"""Verdicts as charts stack them, too little data last."""
_LETTER_WIDTH: Final = 34.0
_ROW: Final = 30.0
_CHARACTER: Final = 7.6


def share(value: float) -> str:
    """Print 0..1 as `41.7 %`."""
    return percent(value, 1)


def share_bars(rows: Mapping[str, Mapping[str, float]]) -> Svg:
    """Draw one bar per name, cut by the verdicts' shares (0..1)."""
    name_width = _CHARACTER * max(map(len, rows), default=0) + 16
    width = WIDTH - name_width
    parts = []
    for at, (name, shares) in enumerate(rows.items()):
        y, x = at * _ROW, name_width
        parts.append(label(0.0, y + 17, name))
        for verdict in ORDER:
            part = shares[verdict] * width
            if part > 0:
                parts.append(rectangle(x, y + 3, part, _ROW - 9, verdict, _said(name, verdict, shares)))
            if part >= _LETTER_WIDTH:
                parts.append(label(x + part / 2, y + 18, share(shares[verdict]), "on", "middle"))
            x += part
    described = "; ".join(
        f"{name}: " + ", ".join(f"{word(v)} {share(s[v])}" for v in ORDER if s[v]) for name, s in rows.items()
    )
    return drawing(_ROW * len(rows), f"Share of the hours by verdict. {described}.", parts)


def _said(name: str, verdict: str, shares: Mapping[str, float]) -> str:
    return f"{name}: {word(verdict)} {share(shares[verdict])}"


def histogram(stacks: Mapping[str, Sequence[int]], width: float = 460.0, height: float = 200.0) -> Svg:
    """Draw counts in equal bins from 0 to 1, stacked by verdict."""
    bins = len(next(iter(stacks.values())))
    totals = [sum(stack[at] for stack in stacks.values()) for at in range(bins)]
    highest = max(*totals, 1)
    left, bottom, top = 46.0, height - 24, 12.0
    step = (width - left) / bins
    parts = [*_levels(highest, left, width, bottom, top)]
    for at in range(bins):
        y = bottom
        for verdict, stack in stacks.items():
            size = stack[at] / highest * (bottom - top)
            if size:
                y -= size
                said = f"{word(verdict)}, {at / bins:.1f} to {(at + 1) / bins:.1f}: {count(stack[at])} hours"
                parts.append(rectangle(left + at * step + 1, y, step - 2, size, verdict, said))
    parts += [label(left + at * step, height - 6, f"{at / bins:.1f}", "tick", "middle") for at in range(0, bins + 1, 2)]
    described = ", ".join(f"{at / bins:.1f} to {(at + 1) / bins:.1f} {count(total)}" for at, total in enumerate(totals))
    return drawing(height, f"Hours by confidence: {described}.", parts, width + 14)


def _levels(highest: int, left: float, right: float, bottom: float, top: float) -> list[Svg]:
    """Lines across at round counts, with their numbers."""
    step = round_step(highest / 4)
    parts = []
    for level in range(int(highest / step) + 1):
        y = bottom - level * step / highest * (bottom - top)
        parts.append(line(left, y, right, y, "axis" if level == 0 else "grid"))
        parts.append(label(left - 6, y + 4, count(level * step), "tick", "end"))
    return parts


def round_step(at_least: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below a positive number, and not below 1."""
    if at_least <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= at_least * (1 - 1e-12))


def return_bars(returns: Mapping[str, ReturnFigures], width: float = 460.0) -> Svg:
    """Draw each group's mean return in basis points with one standard error to either side."""
    rows = [(name, found) for name, found in returns.items() if found.mean_bps is not None]
    reach = max([abs(found.mean_bps or 0.0) + _error(found) for _, found in rows] or [1.0]) or 1.0
    left, right = 110.0, width - 64
    middle, scale = (left + right) / 2, (right - left) / 2 / reach
    height = 26.0 * max(len(rows), 1) + 6
    parts = [line(middle, 0, middle, height, "axis")]
    for at, (name, found) in enumerate(rows):
        y, mean, error = at * 26.0 + 4, found.mean_bps or 0.0, _error(found)
        x = middle + min(mean, 0.0) * scale
        said = f"{word(name)}: {signed(mean)} bps over {count(found.bars)} bars, standard error {error:.1f}"
        parts += [
            label(0, y + 14, word(name)),
            rectangle(x, y, abs(mean) * scale, 18, name.partition(" ")[0], said),
            line(middle + (mean - error) * scale, y + 9, middle + (mean + error) * scale, y + 9, "whisker"),
            label(width, y + 14, signed(mean), "tick", "end"),
        ]
    described = ", ".join(f"{word(name)} {signed(found.mean_bps or 0.0)}" for name, found in rows)
    return drawing(height, f"Mean return of the bar after, basis points: {described or 'none'}.", parts, width)


def _error(found: ReturnFigures) -> float:
    """Standard error of the mean, 0 where there is one bar alone."""
    return 0.0 if found.volatility_bps is None else found.volatility_bps / math.sqrt(found.bars)
