"""What the path of the last closes says beyond the ranked features: drift, spread and quickly fading volatility.

Read by `scoring.posterior`. See `families` for the ranked features.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.windows import Windows
from regime_pipeline.domain.schema import PATH

DRIFT_BARS: Final = (12, 24, 48, 96)
SPREAD_BARS: Final = (48, 96)
FAST_HALF_LIFE, SLOW_HALF_LIFE = 6, 24
PATH_FEATURES: Final = PATH
"""Six columns of the path's shape, and two exponentially weighted volatilities."""


def path_features(windows: Windows) -> Rows:
    """Return the path features of each window, from its closes alone.

    Parameters
    ----------
    windows : Windows
        Bars and the k windows to compute; each uses its last `policy.window_bars` log returns.

    Returns
    -------
    dict of str to ndarray of float64, shape (k,)
        `drift_z_n`: |sum of the last n log returns| / sqrt(sum of their squares), 0 where nothing moved.
        `spread_log_n`: ln of (highest less lowest log close of the last n + 1) over the same root, capped below at -3.
        `fading_log_ratio`: ln of the exponentially weighted volatility (half-life 6 bars) less that of the window.
        `fading_log_volatility`: ln of the exponentially weighted volatility (half-life 24 bars) per bar.
        No NaN: to each mean square the rounding noise of whole ticks, 1 / (12 close^2), is added.

    Notes
    -----
    Every sum starts inside its window, so a value does not know where the candles begin. Weights of the exponential
    means sum to one over the window (Hunter 1986 without the endless past).
    """
    from regime_pipeline.domain.features.path_kernels import drift_and_spread, faded_volatility

    close, ends, bars = windows.candles.close, windows.ends, windows.policy.window_bars
    shapes = {n: drift_and_spread(windows.log_close, ends, n) for n in sorted({*DRIFT_BARS, *SPREAD_BARS})}
    fast, plain = faded_volatility(windows.log_close, close, ends, bars, 0.5 ** (1.0 / FAST_HALF_LIFE))
    slow, _ = faded_volatility(windows.log_close, close, ends, bars, 0.5 ** (1.0 / SLOW_HALF_LIFE))
    return {
        **{f"drift_z_{n}": np.asarray(shapes[n][0]) for n in DRIFT_BARS},
        **{f"spread_log_{n}": np.asarray(shapes[n][1]) for n in SPREAD_BARS},
        "fading_log_ratio": fast - plain,
        "fading_log_volatility": slow,
    }
