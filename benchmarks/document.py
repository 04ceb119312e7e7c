"""Writes a section of `docs/benchmarks.md` between its markers, and nothing else of the page.

What is measured belongs to the benchmark that calls this.
"""

from __future__ import annotations

from pathlib import Path

from regime_pipeline.evaluation.markdown import markdown_table

__all__ = ["markdown_table", "write_section"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
TITLE = "# Benchmarks\n\nEach section is written by the command it names; ratios come from one interleaved run.\n"


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replace the section's text, or append the section."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8") if page.exists() else TITLE
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in old and end in old:
        before, rest = old.split(begin, 1)
        new = before + section + rest.split(end, 1)[1]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    page.write_text(new, encoding="utf-8")
