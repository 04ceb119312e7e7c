"""Writes the first revision's SQL from the metadata: `python -m regime_pipeline.storage.migrations.initial`.

For use until the first release; from then on that revision is frozen and changes get revisions of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable, DDLElement

from regime_pipeline.domain.candle_regimes.states import REGIME_STATES
from regime_pipeline.storage.tables import VIEWS, dirty_ids, metadata

PATH: Final = Path(__file__).parent / "versions" / "r0001_initial.sql"


def statements() -> Iterator[str]:
    """Yield the DDL of sequences, tables, indexes and views, and the rows of `regime_state`."""
    yield _sql(CreateSequence(dirty_ids))
    for table in metadata.sorted_tables:
        yield _sql(CreateTable(table))
        yield from (_sql(CreateIndex(index)) for index in sorted(table.indexes, key=lambda index: str(index.name)))
    yield from (f"CREATE VIEW {name} AS\n{query}" for name, query in VIEWS.items())
    states = (
        (s.state, s.trend_state, s.volatility_state, s.momentum_state, s.full_regime, s.simplified_regime)
        for s in REGIME_STATES
    )
    yield "INSERT INTO regime_state VALUES\n" + ",\n".join(str(state) for state in states)


def render() -> str:
    """Return the text of the first revision."""
    return "".join(f"{statement};\n\n" for statement in statements()).rstrip("\n") + "\n"


def _sql(element: DDLElement) -> str:
    """Compile a DDL element, one column a line."""
    lines = str(element.compile(dialect=postgresql.dialect())).strip().splitlines()  # type: ignore[no-untyped-call]
    return "\n".join(line.replace("\t", "  ").rstrip() for line in lines if line.strip())


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{PATH}\n")
