"""A multinomial logit with a ridge penalty and lower bounds, by a projected Newton method in plain numpy.

Which columns and bounds there are is decided in `fit_posterior`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regime_pipeline.domain.market_data.candles import Float64

_STEPS: Final = 60
_HALVINGS: Final = 30
_TOLERANCE: Final = 1e-9
_SUFFICIENT: Final = 1e-4


class Constraint(NamedTuple):
    """How the coefficients of one column over K classes are made of its q free parameters.

    Parameters
    ----------
    basis : ndarray of float64, shape (K, q)
        Coefficients per unit of each parameter.
    floor : float
        Lower bound of each parameter; minus infinity for none.
    """

    basis: Float64
    floor: float


def fit_logit(columns: Float64, truth: NDArray[np.int8], constraints: list[Constraint], ridge: float) -> Float64:
    """Return the coefficients with the largest penalized mean log likelihood; float64, shape (K, c).

    Parameters
    ----------
    columns : ndarray of float64, shape (c, n)
        Standardized; the last one is the constant 1 and is not penalized.
    truth : ndarray of int8, shape (n,)
        Class of each row.
    constraints : list of Constraint, length c
        One per column.
    ridge : float
        Penalty on half the sum of squared coefficients, less their mean over the classes.

    Notes
    -----
    Projected Newton (Bertsekas, SIAM J. Control Optim. 20, 1982): parameters at their floor whose gradient points
    below it are held, the others take a Newton step, projected and halved until the loss falls enough. Coefficients
    are returned less their mean over the classes, which changes no probability.
    """
    basis = np.array([constraint.basis for constraint in constraints])
    floor = np.repeat([constraint.floor for constraint in constraints], basis.shape[2])
    labels = np.eye(basis.shape[1])[truth].T
    values = np.maximum(np.zeros(len(floor)), floor)
    evaluate = partial(_loss, basis=basis, columns=columns, labels=labels, ridge=ridge)
    loss = evaluate(values)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(values, basis, columns, labels, ridge)
        is_free = (values > floor) | (gradient < 0)
        step = np.zeros(len(values))
        step[is_free] = -np.linalg.solve(hessian[np.ix_(is_free, is_free)], gradient[is_free])
        moved, lower = _search(values, step, floor, gradient, loss, evaluate)
        if loss - lower < _TOLERANCE:
            break
        values, loss = moved, lower
    coefficients = _coefficients(values, basis)
    return np.asarray(coefficients - coefficients.mean(axis=0))


def _search(
    values: Float64, step: Float64, floor: Float64, gradient: Float64, loss: float, evaluate: Callable[[Float64], float]
) -> tuple[Float64, float]:
    """The projected step, halved until the loss falls enough; the start itself where it never does."""
    for halving in range(_HALVINGS):
        moved = np.maximum(values + 0.5**halving * step, floor)
        lower = evaluate(moved)
        if lower <= loss + _SUFFICIENT * gradient @ (moved - values):
            return moved, lower
    return values, loss


def _coefficients(values: Float64, basis: Float64) -> Float64:
    """Coefficients of the free parameters, shape (K, c)."""
    return np.asarray(np.einsum("ckq,cq->kc", basis, values.reshape(len(basis), -1)))


def _centered(coefficients: Float64) -> Float64:
    """What the penalty sees: less the mean over the classes, without the constant."""
    centered = coefficients - coefficients.mean(axis=0)
    centered[:, -1] = 0.0
    return np.asarray(centered)


def _probabilities(coefficients: Float64, columns: Float64) -> Float64:
    utilities = coefficients @ columns
    shifted = np.exp(utilities - utilities.max(axis=0))
    return np.asarray(shifted / shifted.sum(axis=0))


def _loss(values: Float64, basis: Float64, columns: Float64, labels: Float64, ridge: float) -> float:
    """Penalized mean log loss."""
    coefficients = _coefficients(values, basis)
    own = (_probabilities(coefficients, columns) * labels).sum(axis=0)
    return float(-np.mean(np.log(np.maximum(own, 1e-300))) + 0.5 * ridge * np.sum(_centered(coefficients) ** 2))


def _derivatives(
    values: Float64, basis: Float64, columns: Float64, labels: Float64, ridge: float
) -> tuple[Float64, Float64]:
    """Gradient and Hessian of the loss in the free parameters."""
    coefficients = _coefficients(values, basis)
    likely = _probabilities(coefficients, columns)
    rows, classes = columns.shape[1], len(likely)
    slope = (likely - labels) @ columns.T / rows + ridge * _centered(coefficients)
    gradient = np.einsum("ckq,kc->cq", basis, slope).ravel()
    is_penalized = np.append(np.ones(len(basis) - 1), 0.0)
    size = basis.shape[0] * basis.shape[2]
    hessian = np.zeros((size, size))
    for k in range(classes):
        for m in range(classes):
            weight = likely[k] * ((k == m) - likely[m]) / rows
            block = (columns * weight) @ columns.T + ridge * ((k == m) - 1.0 / classes) * np.diag(is_penalized)
            hessian += np.einsum("cq,cd,dr->cqdr", basis[:, k], block, basis[:, m]).reshape(size, size)
    return gradient, hessian
