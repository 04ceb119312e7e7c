"""What every section of the policy is made of: bounded types, the frozen and hashed section, its error.

See `engine`, `grids` and `gates` for the thresholds.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_LOOKBACK_BARS = 1024
"""No label of a candle may depend on a bar further back."""
Bars = Annotated[int, Field(ge=1, le=MAX_LOOKBACK_BARS)]
Percent = Annotated[float, Field(ge=0, le=100)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
_ROUNDING: Final = 1e-9


class PolicyError(ValueError):
    """A threshold is out of its bounds; names the section, the field, the value and the bound."""


class PolicySection(BaseModel):
    """A frozen group of thresholds with a hash of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that change with any threshold of the section."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Weights(PolicySection):
    """Shares that sum to one."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        """Refuse weights that do not sum to one."""
        total = sum(self.model_dump().values())
        if abs(total - 1.0) > _ROUNDING:
            raise ValueError(f"the weights sum to {total:g}, not to 1")
        return self


def refuse_beyond(name: str, window: int, reach: dict[str, int]) -> None:
    """Refuse look-backs that exceed a window."""
    beyond = [f"{bars} ({reach[bars]} bars)" for bars in reach if reach[bars] > window]
    if beyond:
        raise ValueError(f"{', '.join(beyond)} reach beyond {name} = {window}")
