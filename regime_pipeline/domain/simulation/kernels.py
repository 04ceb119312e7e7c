"""Compiled recursions of the simulated markets; every shock is passed in, so these are pure arithmetic.

See `regimes` and `market` for random numbers, labels and candles.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def autoregression(shocks, persistence):  # type: ignore[no-untyped-def]
    """Return a stationary AR(1) with unit variance from standard normal shocks; float64, same shape."""
    values = np.empty(shocks.size)
    innovation = np.sqrt(1.0 - persistence * persistence)
    value = 0.0
    for row in range(shocks.size):
        value = shocks[row] if row == 0 else persistence * value + innovation * shocks[row]
        values[row] = value
    return values


@njit(cache=True, nogil=True)
def log_path(shocks, drift, reversion, is_spell_start, wander):  # type: ignore[no-untyped-def]
    """Return a log-price path that starts at zero and reverts to a center; float64, shape (n + 1,).

    Parameters
    ----------
    shocks, drift : ndarray of float64, shape (n,)
        Random and certain part of each log return.
    reversion : ndarray of float64, shape (n,)
        Share of the distance to the center that is undone per step; 0 for a free walk.
    is_spell_start : ndarray of bool, shape (n,)
        Where a new spell begins, and the center is set to the price.
    wander : ndarray of float64, shape (n,)
        Step of the center in each bar; zeros where it stays put.
    """
    path = np.empty(shocks.size + 1)
    path[0] = 0.0
    center = 0.0
    for row in range(shocks.size):
        if is_spell_start[row]:
            center = path[row]
        center += wander[row]
        path[row + 1] = path[row] + drift[row] - reversion[row] * (path[row] - center) + shocks[row]
    return path


@njit(cache=True, nogil=True)
def chain_states(uniforms, stay, after):  # type: ignore[no-untyped-def]
    """Return the states of a Markov chain that starts in state 0; int8, shape (n,).

    Parameters
    ----------
    uniforms : ndarray of float64, shape (2, n)
        In [0, 1): whether the state is left, and for which other.
    stay : ndarray of float64, shape (s,)
        Probability to remain in each state.
    after : ndarray of float64, shape (s, s)
        Cumulative probabilities of the next state once it is left.
    """
    states = np.empty(uniforms.shape[1], dtype=np.int8)
    state = 0
    for row in range(states.size):
        if row > 0 and uniforms[0, row] >= stay[state]:
            state = int(np.searchsorted(after[state], uniforms[1, row], side="right"))
        states[row] = state
    return states


@njit(cache=True, nogil=True)
def modulated_path(states, shocks, variance_shocks, jumps, coefficients):  # type: ignore[no-untyped-def]
    """Return the log path of a Markov-modulated diffusion that starts at zero; float64, shape (n + 1,).

    Parameters
    ----------
    states : ndarray of int8, shape (n,)
        0 reverts to where it was entered, 1 and 2 drift up and down, 3 is volatile.
    shocks, variance_shocks : ndarray of float64, shape (n,)
        Standard normal, of the price and of its variance.
    jumps : ndarray of float64, shape (n,)
        Added to the path.
    coefficients : ndarray of float64, shape (7,)
        Per step: sigma, drift, reversion, multiplier of the volatile state; speed and noise of the variance over its
        mean, and the least value at which that is held.
    """
    sigma, drift, reversion, multiplier, speed, noise, least = coefficients
    path = np.empty(states.size + 1)
    path[0] = 0.0
    variance, center = 1.0, 0.0
    for row in range(states.size):
        state = states[row]
        if row > 0 and state != states[row - 1]:
            center = path[row]
        root = np.sqrt(variance)
        move = sigma * root * shocks[row]
        if state == 0:
            move -= reversion * (path[row] - center)
        elif state == 1:
            move += drift
        elif state == 2:
            move -= drift
        else:
            move *= multiplier
        path[row + 1] = path[row] + move + jumps[row]
        variance = max(least, variance + speed * (1.0 - variance) + noise * root * variance_shocks[row])
    return path
