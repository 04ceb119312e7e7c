"""How the command line speaks: results on stdout, progress on a terminal's stderr, errors in a sentence.

Every command imports it, so it imports next to nothing. See `output` for tables and files, `summaries` for verdicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

OK, DATA_MISSING, USAGE, PARTLY_DONE = 0, 1, 2, 3
"""Exit codes."""

out = Console(markup=False)
err = Console(stderr=True, markup=False)
"""Neither reads `[...]` in a text as markup: names and reasons that users stored are printed as they are.

A line that does use markup says so with `markup=True`, and escapes what it quotes.
"""

COLORS = {"RANGE_OK": "green", "RANGE_WEAK": "yellow", "TREND": "red", "TRANSITION": "magenta"}


def printable(text: str) -> str:
    """Return a text that may quote a foreign file, with the characters that would steer a terminal spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def progress_bar() -> Progress:
    """Return a progress bar for stderr, silent where stderr is not a terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )
