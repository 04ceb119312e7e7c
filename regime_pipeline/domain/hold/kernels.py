"""Compiled loops of the hold probability: trailing mean squares, the two-barrier formula, its inverse.

See `volatility` and `probability` for checked and broadcast arguments.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_DISCRETE = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how much farther a barrier stands, in standard deviations of one step, when the price is
looked at once a step (Broadie, Glasserman and Kou 1997)."""
_SERIES_FROM = 0.1
"""Variance over squared width from which the sine series needs fewer terms than the images."""
_CLOSE_ENOUGH = 1e-12
"""Share of a half-width at which bisection ends: the probability is then right to 1e-11 at least."""


@njit(cache=True, nogil=True, error_model="numpy")
def squared_returns(numbers, closes):  # type: ignore[no-untyped-def]
    """Return the squared log return into each close, NaN where the close one step before is absent.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n,)
        Calendar number of each close, ascending.
    closes : ndarray of int64, shape (n,)
        In ticks.
    """
    out = np.full(numbers.size, np.nan)
    for i in range(1, numbers.size):
        if numbers[i] - numbers[i - 1] == 1:
            change = math.log(closes[i] / closes[i - 1])
            out[i] = change * change
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def trailing_mean_squares(numbers, squares, at, lengths, fewest):  # type: ignore[no-untyped-def]
    """Return the mean of the squares over nested trailing windows of the calendar, each summed from its newest end.

    Parameters
    ----------
    numbers, squares : ndarray, shape (n,)
        As above.
    at : ndarray of int64, shape (k,)
        Row of each window's newest close, -1 for none.
    lengths, fewest : ndarray of int64, shape (w,)
        Steps of the windows, ascending, and how many squares must be present.

    Returns
    -------
    ndarray of float64, shape (w, k)
        NaN where too few are present, or where the price never moved (a log variance has no value there).
    """
    out = np.full((lengths.size, at.size), np.nan)
    for k in range(at.size):
        if at[k] < 0:
            continue
        row, newest, total, present = at[k], numbers[at[k]], 0.0, 0
        for w in range(lengths.size):
            while row >= 0 and newest - numbers[row] < lengths[w]:
                if squares[row] == squares[row]:
                    total += squares[row]
                    present += 1
                row -= 1
            if present >= fewest[w] and total > 0:
                out[w, k] = total / present
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def stay_probability(below, above, variance):  # type: ignore[no-untyped-def]
    """Return the probability that a Brownian path of this variance leaves neither barrier behind.

    Parameters
    ----------
    below, above : float
        Distances to the barriers; 0 where one is not positive.
    variance : float
        Of the whole path.

    Notes
    -----
    The sine series where the path is wide beside the band, mirror images where it is narrow: both are exact to 1e-15
    with a handful of terms.
    """
    if below <= 0.0 or above <= 0.0:
        return 0.0
    width = below + above
    relative = variance / (width * width)
    total = 0.0
    if relative > _SERIES_FROM:
        for k in range(1, 99, 2):
            size = 4.0 / (k * math.pi) * math.exp(-0.5 * relative * (k * math.pi) ** 2)
            if size < 1e-17:
                break
            total += size * math.sin(k * math.pi * below / width)
    else:
        scale = math.sqrt(2.0 * variance)
        for n in range(-2, 2):
            shift = 2.0 * n * width
            direct = math.erfc((shift - above) / scale) - math.erfc((shift + below) / scale)
            mirrored = math.erfc((shift + above) / scale) - math.erfc((shift + below + 2.0 * above) / scale)
            total += 0.5 * (direct - mirrored)
    return min(max(total, 0.0), 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _mixed(below, above, hours, step_hours, log_variance, spread):  # type: ignore[no-untyped-def]
    """The formula averaged over the variances that the next hours may turn out to have."""
    total = 0.0
    for j in range(_NODES.size):
        variance = math.exp(log_variance + 2.0 * spread * _NODES[j])
        shift = _DISCRETE * math.sqrt(variance * step_hours)
        total += _WEIGHTS[j] * stay_probability(below + shift, above + shift, variance * hours)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _forecast(mean_squares, i, hours, c):  # type: ignore[no-untyped-def]
    """Log variance of one hour to come, and half the standard deviation of its error."""
    day, week, month = math.log(mean_squares[0, i]), math.log(mean_squares[1, i]), math.log(mean_squares[2, i])
    ahead = math.log(hours / 24.0)
    return c[0] + week + c[1] * (day - week) + c[2] * (month - week) + c[3] * ahead, math.exp(c[4] + c[5] * ahead)


@njit(cache=True, nogil=True, error_model="numpy")
def hold_probabilities(close, lower, upper, hours, mean_squares, c, step_hours):  # type: ignore[no-untyped-def]
    """Return P(every close of the next hours stays inside); arrays of shape (n,), `mean_squares` of shape (3, n)."""
    out = np.full(close.size, np.nan)
    for i in range(close.size):
        if not (0.0 < lower[i] < upper[i] and mean_squares[:, i].min() > 0.0 and close[i] > 0.0):
            continue
        below, above = math.log(close[i] / lower[i]), math.log(upper[i] / close[i])
        if below <= 0.0 or above <= 0.0:
            out[i] = 0.0
            continue
        log_variance, spread = _forecast(mean_squares, i, hours[i], c)
        out[i] = _mixed(below, above, hours[i], step_hours, log_variance, spread)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _unit_half_width(probability, hours, step_hours, spread):  # type: ignore[no-untyped-def]
    """The half-width of a band where the forecast variance of an hour is one."""
    low, high = 0.0, math.sqrt(hours)
    while _mixed(high, high, hours, step_hours, 0.0, spread) < probability:
        low, high = high, 2.0 * high
    while high - low > _CLOSE_ENOUGH * high:
        middle = 0.5 * (low + high)
        if _mixed(middle, middle, hours, step_hours, 0.0, spread) < probability:
            low = middle
        else:
            high = middle
    return high


@njit(cache=True, nogil=True, error_model="numpy")
def half_widths(probability, hours, mean_squares, c, step_hours):  # type: ignore[no-untyped-def]
    """Return the log distance of both edges at which a band holds with a probability; float64, shape (n,).

    Widths grow with the forecast's standard deviation, so one search in its units serves every element that asks for
    the same probability and hours as the one before.
    """
    out = np.full(probability.size, np.nan)
    unit, of_probability, of_hours = np.nan, np.nan, np.nan
    for i in range(probability.size):
        if not (mean_squares[:, i].min() > 0.0 and 0.0 < probability[i] < 1.0):
            continue
        log_variance, spread = _forecast(mean_squares, i, hours[i], c)
        if probability[i] != of_probability or hours[i] != of_hours:
            of_probability, of_hours = probability[i], hours[i]
            unit = _unit_half_width(of_probability, of_hours, step_hours, spread)
        out[i] = unit * math.exp(0.5 * log_variance)
    return out
