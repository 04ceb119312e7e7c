"""The null table shipped with the package: read here, written by `evaluation.calibrate`.

See `domain.scoring.null_table` for what it means.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.scoring.null_table import NullTable
from regime_pipeline.services.hold_model import default_hold_model
from regime_pipeline.services.posterior_model import default_posterior

NULL_TABLE_PATH: Final = Path(__file__).with_name("null_table.json")


def load_null_table(path: Path) -> NullTable:
    """Read a null table.

    Raises
    ------
    UsageError
        The file is missing or is not a null table.
    """
    try:
        content = orjson.loads(path.read_bytes())
        return NullTable(content["made_for"], _arrays(content["quantiles"]), _arrays(content["knots"]))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} is not a null table: {error!r}.", "Make one: python -m regime_pipeline.evaluation.calibrate."
        ) from error


def _arrays(columns: dict[str, list[float]]) -> dict[str, Any]:
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def save_null_table(path: Path, table: NullTable, made_from: dict[str, int]) -> None:
    """Write a null table with how it was made, six significant digits, one line per column."""
    columns = {
        part: {name: [float(f"{value:.6g}") for value in values] for name, values in getattr(table, part).items()}
        for part in ("quantiles", "knots")
    }
    lines = [
        f'  "{part}": {{\n'
        + ",\n".join(f'    "{name}": {orjson.dumps(values).decode()}' for name, values in columns[part].items())
        + "\n  }"
        for part in columns
    ]
    head = f'  "made_for": "{table.made_for}",\n  "made_from": {orjson.dumps(made_from).decode()}'
    path.write_text("{\n" + ",\n".join([head, *lines]) + "\n}\n", "utf-8")


@lru_cache(maxsize=1)
def default_null_table() -> NullTable:
    """Return the table shipped with the package, with the models that were fitted for it."""
    table = load_null_table(NULL_TABLE_PATH)
    return replace(table, posterior=default_posterior(), hold=default_hold_model())
