"""SVG in text: elements with escaped attributes, numbers with one decimal, no ids, no script, no colour of its own.

Colours come from the page's style sheet by class, so that light and dark differ there alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final, Self

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
