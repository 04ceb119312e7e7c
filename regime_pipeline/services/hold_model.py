"""The hold model shipped with the package: read here, fitted and written by `evaluation.fit_hold`.

See `domain.hold.model` for what its numbers mean.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Final

import orjson

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.hold.model import HoldModel

HOLD_MODEL_PATH: Final = Path(__file__).with_name("hold_model.json")
FITTING_COMMAND: Final = "python -m regime_pipeline.evaluation.fit_hold FOLDER"


def load_hold_model(path: Path) -> HoldModel:
    """Read a hold model.

    Raises
    ------
    UsageError
        The file is missing, is not a hold model, or its coefficients are not those that its hash was made for.
    """
    try:
        content = orjson.loads(path.read_bytes())
        model = HoldModel(**{name: float(value) for name, value in content["coefficients"].items()})
        stated = content["hash"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is not a hold model: {error!r}.", f"Make one: {FITTING_COMMAND}.") from error
    if stated != model.hash:
        raise UsageError(
            f"The coefficients in {path} are not those of its hash {stated}.", f"Make a new one: {FITTING_COMMAND}."
        )
    return model


def save_hold_model(path: Path, model: HoldModel, made_from: dict[str, int]) -> None:
    """Write a hold model with its hash and how it was made."""
    content = {
        "made_by": FITTING_COMMAND,
        "made_from": made_from,
        "hash": model.hash,
        "coefficients": asdict(model),
    }
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


@lru_cache(maxsize=1)
def default_hold_model() -> HoldModel:
    """Return the model shipped with the package."""
    return load_hold_model(HOLD_MODEL_PATH)
