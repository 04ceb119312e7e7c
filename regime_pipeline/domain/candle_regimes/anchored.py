"""Compiled loops of the anchored recursive indicators; import it inside the functions that need it.

Each block of `anchor` bar numbers starts cold `warmup` bars before it, so most bars are gone through three times.
Blocks without a hole take the same steps at the same ages: they run side by side, one block a lane, and the processor
takes four lanes in one instruction. Other blocks (young, cut, or with a hole) run one by one. See `recursions` for the
steps.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from regime_pipeline.domain.candle_regimes.recursions import (
    INPUTS,
    cold,
    directional_index,
    follow,
    learn,
    moves_at,
    moves_of,
    shares_of,
    smooth_adx,
    smooth_atr,
    smooth_rsi,
    step,
    strength,
)

_COLUMNS = 24
"""Blocks of one tile, those of the warm-up included: its inputs fit into the processor's second cache."""
_PAD = 8
"""Keeps the same row of many blocks apart in the cache, where a power of two would put them on one place."""
_ROWS = 20
"""What a lane remembers; see `_warm` for the order."""
_OUTPUTS = 9


@njit(cache=True, nogil=True, error_model="numpy")
def _block(high, low, close, start, first, end, periods, shares, out):  # type: ignore[no-untyped-def]
    """Every recursive indicator, cold from row `start`, kept for rows `first` to `end`; spreads are left squared."""
    states = cold(close[start], periods, shares)
    for i in range(start + 1, end):
        age = i - start
        before = states
        states = step(states, age, moves_at(high, low, close, i, shares[2], periods[3]), periods, shares)
        if i >= first:
            adx, atr, rsi, roc, macd = states
            out[0, i] = adx[4] if age >= 2 * periods[0] - 1 else np.nan
            out[1, i] = atr[1] if age >= periods[1] else np.nan
            out[2, i], out[3, i], out[4, i] = rsi[2], roc[0], macd[6]
            out[5, i], out[6, i], out[7, i], out[8, i] = before[0][6], before[2][4], before[3][2], before[4][8]


@njit(cache=True, nogil=True, error_model="numpy")
def _warm(high, low, close, start, settled, periods, shares, memory, lane):  # type: ignore[no-untyped-def]
    """Run one lane cold from row `start` to the age before `settled`, and write down what it remembers."""
    states = cold(close[start], periods, shares)
    for age in range(1, settled):
        inputs = moves_at(high, low, close, start + age, shares[2], periods[3])
        states = step(states, age, inputs, periods, shares)
    adx, atr, rsi, roc, macd = states
    found = (
        *(adx[0], adx[1], adx[2], adx[4], adx[5], adx[6], atr[1]),
        *(rsi[0], rsi[1], rsi[2], rsi[3], rsi[4], roc[1], roc[2]),
        *(macd[3], macd[4], macd[5], macd[6], macd[7], macd[8]),
    )
    for k in range(_ROWS):
        memory[k * _COLUMNS + lane] = found[k]


@njit(cache=True, nogil=True)
def _fill(high, low, close, row, anchor, columns, rsi_share, roc_bars, tile):  # type: ignore[no-untyped-def]
    """Fill the inputs of `columns` blocks from row `row` on, which may lie before the first; neighbours are blocks."""
    width = anchor + _PAD
    found = np.empty((INPUTS, columns * width))
    for column in range(columns):
        begin, end = row + column * anchor, row + (column + 1) * anchor
        skipped = min(max(0, roc_bars - begin), anchor)
        place = found[:, column * width + skipped : column * width + anchor]
        moves_of(high, low, close, begin + skipped, end, rsi_share, roc_bars, place)
    for phase in range(anchor):
        for k in range(INPUTS):
            at = (phase * INPUTS + k) * _COLUMNS
            for column in range(columns):
                tile[at + column] = found[k, column * width + phase]


@njit(cache=True, nogil=True, inline="always")
def _move_lanes(memory, tile, lanes, shares):  # type: ignore[no-untyped-def]
    """Take ADX and ATR of all lanes one bar further; offsets are constants, or the compiler would not use vectors."""
    for j in range(lanes):
        plus, minus, ranges, dx, is_moving = directional_index(
            memory[j], memory[_COLUMNS + j], memory[2 * _COLUMNS + j],
            tile[j], tile[_COLUMNS + j], tile[2 * _COLUMNS + j], shares[0],
        )  # fmt: skip
        value, mean, variance = smooth_adx(
            memory[3 * _COLUMNS + j], memory[4 * _COLUMNS + j], memory[5 * _COLUMNS + j],
            dx, is_moving, shares[0], shares[6],
        )  # fmt: skip
        memory[j], memory[_COLUMNS + j], memory[2 * _COLUMNS + j] = plus, minus, ranges
        memory[3 * _COLUMNS + j], memory[4 * _COLUMNS + j], memory[5 * _COLUMNS + j] = value, mean, variance
        memory[6 * _COLUMNS + j] = smooth_atr(memory[6 * _COLUMNS + j], tile[2 * _COLUMNS + j], shares[1])


@njit(cache=True, nogil=True, inline="always")
def _vote_lanes(memory, tile, lanes, shares):  # type: ignore[no-untyped-def]
    """Take RSI, ROC and MACD of all lanes one bar further."""
    for j in range(lanes):
        gain, loss = smooth_rsi(
            memory[7 * _COLUMNS + j], memory[8 * _COLUMNS + j],
            tile[3 * _COLUMNS + j], tile[4 * _COLUMNS + j], shares[2],
        )  # fmt: skip
        rsi = strength(gain, loss)
        mean, variance = learn(memory[10 * _COLUMNS + j], memory[11 * _COLUMNS + j], rsi, shares[6])
        memory[7 * _COLUMNS + j], memory[8 * _COLUMNS + j], memory[9 * _COLUMNS + j] = gain, loss, rsi
        memory[10 * _COLUMNS + j], memory[11 * _COLUMNS + j] = mean, variance
    for j in range(lanes):
        mean, variance = learn(memory[12 * _COLUMNS + j], memory[13 * _COLUMNS + j], tile[6 * _COLUMNS + j], shares[6])
        memory[12 * _COLUMNS + j], memory[13 * _COLUMNS + j] = mean, variance
        price = tile[5 * _COLUMNS + j]
        fast = follow(memory[14 * _COLUMNS + j], price, shares[3])
        slow = follow(memory[15 * _COLUMNS + j], price, shares[4])
        signal = follow(memory[16 * _COLUMNS + j], fast - slow, shares[5])
        value = fast - slow - signal
        mean, variance = learn(memory[18 * _COLUMNS + j], memory[19 * _COLUMNS + j], value, shares[6])
        memory[14 * _COLUMNS + j], memory[15 * _COLUMNS + j], memory[16 * _COLUMNS + j] = fast, slow, signal
        memory[17 * _COLUMNS + j], memory[18 * _COLUMNS + j], memory[19 * _COLUMNS + j] = value, mean, variance


@njit(cache=True, nogil=True, error_model="numpy")
def _side_by_side(high, low, close, start, blocks, periods, shares, anchor, warmup, settled, tile, memory, out):  # type: ignore[no-untyped-def]
    """Whole blocks, the first of which starts cold at row `start`; memory and tile are room to work in."""
    back = (warmup + anchor - 1) // anchor
    lead = back * anchor - warmup
    _fill(high, low, close, start - lead, anchor, blocks + back, shares[2], periods[3], tile)
    memory[:] = 0.0
    for lane in range(blocks):
        _warm(high, low, close, start + lane * anchor, settled, periods, shares, memory, lane)
    lanes = (blocks + 3) // 4 * 4
    for age in range(settled, warmup + anchor):
        column, phase = divmod(lead + age, anchor)
        at = phase * INPUTS * _COLUMNS + column
        inputs = tile[at : at + INPUTS * _COLUMNS]
        if age >= warmup:
            for lane in range(blocks):
                i = start + lane * anchor + age
                out[5, i], out[6, i] = memory[5 * _COLUMNS + lane], memory[11 * _COLUMNS + lane]
                out[7, i], out[8, i] = memory[13 * _COLUMNS + lane], memory[19 * _COLUMNS + lane]
        _move_lanes(memory, inputs, lanes, shares)
        _vote_lanes(memory, inputs, lanes, shares)
        if age >= warmup:
            for lane in range(blocks):
                i = start + lane * anchor + age
                out[0, i], out[1, i] = memory[3 * _COLUMNS + lane], memory[6 * _COLUMNS + lane]
                out[2, i], out[3, i] = memory[9 * _COLUMNS + lane], inputs[6 * _COLUMNS + lane]
                out[4, i] = memory[17 * _COLUMNS + lane]


@njit(cache=True, nogil=True)
def _block_end(bar, starts, first, anchor):  # type: ignore[no-untyped-def]
    """Return the row behind the block of row `first`: the next anchor, or where history begins again."""
    end = min(bar.size, first + anchor)
    end = first + np.searchsorted(bar[first:end], (bar[first] // anchor + 1) * anchor)
    return first + np.searchsorted(starts[first:end], starts[first], side="right")


@njit(cache=True, nogil=True)
def _whole_blocks(bar, starts, first, anchor, warmup, most):  # type: ignore[no-untyped-def]
    """Return how many blocks from row `first` on, at most `most`, have every bar and warm-up of one history."""
    start = first - warmup
    if start < starts[first] or bar[first] % anchor or bar[first] - bar[start] != warmup:
        return 0
    blocks = 0
    while blocks < most:
        last = first + (blocks + 1) * anchor - 1
        if last >= bar.size or bar[last] - bar[start] != last - start or starts[last] != starts[first]:
            break
        blocks += 1
    return blocks


@njit(cache=True, nogil=True, error_model="numpy")
def recursive_indicators(bar, starts, high, low, close, periods, alpha, anchor, warmup):  # type: ignore[no-untyped-def]
    """Fill every recursive indicator, anchored: each block of `anchor` bar numbers starts cold `warmup` bars before it.

    Bars that are absent are stepped over.

    `periods` are ADX, ATR, RSI, ROC and the three MACD spans. Returns float64, shape (9, n), NaN where not warm: adx,
    atr, rsi, roc, histogram, and the trailing spreads of adx, rsi, roc and histogram, each from strictly earlier bars.
    """
    out = np.full((_OUTPUTS, close.size), np.nan)
    spans = (periods[0], periods[1], periods[2], periods[3], periods[4], periods[5], periods[6])
    shares = shares_of(spans, alpha)
    settled = max(2 * spans[0], spans[1] + 1, spans[2] + 1, spans[3] + 1, spans[5] + spans[6])
    most = (_COLUMNS - (warmup + anchor - 1) // anchor) // 4 * 4 if settled < warmup else 0
    tile, memory = np.zeros((anchor + 1) * INPUTS * _COLUMNS), np.zeros(_ROWS * _COLUMNS)
    first = 0
    while first < close.size:
        blocks = _whole_blocks(bar, starts, first, anchor, warmup, most)
        if blocks > 1:
            _side_by_side(
                high, low, close, first - warmup, blocks, spans, shares, anchor, warmup, settled, tile, memory, out
            )
            first += blocks * anchor
            continue
        end = _block_end(bar, starts, first, anchor)
        start = max(starts[first], np.searchsorted(bar, bar[first] // anchor * anchor - warmup))
        _block(high, low, close, start, first, end, spans, shares, out)
        first = end
    for k in range(5, _OUTPUTS):
        for i in range(close.size):
            out[k, i] = np.sqrt(out[k, i])
    return out
