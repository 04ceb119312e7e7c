"""The posterior model shipped with the package: read here, written by `evaluation.fit_posterior`.

See `domain.scoring.posterior` for what its numbers mean.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.scoring.posterior import CLASSES, COLUMNS, SPLIT_COLUMNS, PosteriorModel

POSTERIOR_PATH: Final = Path(__file__).with_name("posterior.json")
_INTERCEPT: Final = "intercept"
_COMMAND: Final = "python -m regime_pipeline.evaluation.fit_posterior"


def load_posterior(path: Path) -> PosteriorModel:
    """Read a posterior model.

    Raises
    ------
    UsageError
        The file is missing, is not a posterior model, has other columns or was changed by hand.
    """
    try:
        content = orjson.loads(path.read_bytes())
        columns, split = content["columns"], content["split"]
        model = PosteriorModel(
            content["made_for"],
            _numbers([columns[name]["mean"] for name in COLUMNS]),
            _numbers([columns[name]["scale"] for name in COLUMNS]),
            _numbers([[columns[name][label] for name in (*COLUMNS, _INTERCEPT)] for label in CLASSES]),
            _numbers([split[name] for name in (*SPLIT_COLUMNS, _INTERCEPT)]),
        )
        is_whole = content["hash"] == model.hash
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a posterior model: {error!r}.", f"Fit one: {_COMMAND}.") from error
    if not is_whole:
        raise UsageError(f"{path} does not match its own hash {content['hash']}.", f"Fit it again: {_COMMAND}.")
    return model


def _numbers(values: list[Any]) -> Float64:
    return np.array(values, dtype=np.float64)


def rounded(values: Float64) -> Float64:
    """Return numbers as the file keeps them: eight significant digits."""
    flat = [float(f"{value:.8g}") for value in np.ravel(values).tolist()]
    return np.array(flat, dtype=np.float64).reshape(np.shape(values))


def save_posterior(path: Path, model: PosteriorModel, made_from: dict[str, Any]) -> None:
    """Write a posterior model with how it was fitted, one line per column; its numbers must be `rounded`."""
    columns: dict[str, dict[str, float]] = {
        name: {"mean": float(model.means[row]), "scale": float(model.scales[row])} for row, name in enumerate(COLUMNS)
    }
    columns[_INTERCEPT] = {}
    for row, column in enumerate(columns.values()):
        column |= {label: float(model.coefficients[code, row]) for code, label in enumerate(CLASSES)}
    split = dict(zip((*SPLIT_COLUMNS, _INTERCEPT), model.split.tolist(), strict=True))
    head = {"made_for": model.made_for, "hash": model.hash, "command": _COMMAND, "made_from": made_from}
    lines = [f'  "{name}": {orjson.dumps(value).decode()}' for name, value in head.items()]
    body = ",\n".join(f'    "{name}": {orjson.dumps(value).decode()}' for name, value in columns.items())
    lines += [f'  "columns": {{\n{body}\n  }}', f'  "split": {orjson.dumps(split).decode()}']
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


@lru_cache(maxsize=1)
def default_posterior() -> PosteriorModel:
    """Return the model shipped with the package."""
    return load_posterior(POSTERIOR_PATH)
