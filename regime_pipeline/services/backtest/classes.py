"""The three market classes that verdicts, labels and baselines are compared in.

See `labels` for where a truth comes from, `metrics` for how predictions are scored against it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.schema import VERDICTS

Classes = NDArray[np.int8]
CLASSES: Final = ("RANGE", "TREND", "VOLATILE")
RANGE, TREND, VOLATILE = range(3)
ABSTAIN: Final = -1
"""Neither a truth nor a prediction: warm-up, or a market without labels."""
CLASS_OF_LABEL: Final = np.array([RANGE, TREND, TREND, VOLATILE], dtype=np.int8)
"""By code into `simulation.regimes.LABELS`."""
_CLASSES: Final = {"INSUFFICIENT_DATA": ABSTAIN, "RANGE_OK": RANGE, "RANGE_WEAK": RANGE, "TREND": TREND}
CLASS_OF_VERDICT: Final = np.array([_CLASSES.get(name, VOLATILE) for name in VERDICTS], dtype=np.int8)
"""By code into `schema.VERDICTS`: RANGE_OK and RANGE_WEAK are RANGE, TRANSITION is VOLATILE."""
