"""What Grafana's PostgreSQL data source makes of a dashboard's SQL: variables in the browser, macros in its backend.

As `pkg/tsdb/grafana-postgresql-datasource/macros.go` of grafana/grafana does it, without TimescaleDB. A macro that is
unknown there is an error there and here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_VARIABLE: Final = re.compile(r"\$\{(\w+):sqlstring\}|\$(__interval)\b")
_MACRO: Final = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Screen:
    """What a person sees: the time range, the width of a bucket and the chosen variables."""

    start: datetime
    end: datetime
    interval: str = "1h"
    variables: Mapping[str, str | Sequence[str]] | None = None

    def expand(self, sql: str) -> str:
        """Return the statement that the database gets."""
        shown = _VARIABLE.sub(self._variable, sql)
        return _MACRO.sub(lambda macro: self._macro(shown, macro), shown)

    def _variable(self, found: re.Match[str]) -> str:
        if found[2]:
            return self.interval
        value = (self.variables or {})[found[1]]
        values = [value] if isinstance(value, str) else value
        return ",".join("'" + each.replace("'", "''") + "'" for each in values)

    def _macro(self, sql: str, macro: re.Match[str]) -> str:
        name, given = macro[1], [word.strip() for word in macro[2].split(",")]
        after = sql.index(macro[0]) + len(macro[0])
        if name == "__timeGroup" and sql[after : after + 1] == ",":  # as of before 5.3: it names the column too
            name = "__timeGroupAlias"
        start, end = (f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'" for moment in (self.start, self.end))
        if name == "__timeFrom":
            return start
        if name == "__timeTo":
            return end
        if name == "__timeFilter":
            return f"{given[0]} BETWEEN {start} AND {end}"
        if name in ("__timeGroup", "__timeGroupAlias"):
            seconds = int(given[1].strip("'")[:-1]) * _SECONDS[given[1].strip("'")[-1]]
            group = f"floor(extract(epoch from {given[0]})/{seconds})*{seconds}"
            return group if name == "__timeGroup" else f'{group} AS "time"'
        raise ValueError(f"unknown macro {name!r}")
