"""Tables of the lab's reports and of the benchmarks, in Markdown.

See `accuracy_report`, `restart_report` and `hold_report` for what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, a line for the header, one for its rule, and one per row."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])
