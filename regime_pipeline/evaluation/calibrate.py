"""Makes the null table: simulated driftless walks go through the engine, their distributions into a file.

`python -m regime_pipeline.evaluation.calibrate` writes the table shipped with the package; the same seeds give the same
table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from regime_pipeline.domain.columnar import Rows
from regime_pipeline.domain.features.hourly import compute_features
from regime_pipeline.domain.features.observations import Observations
from regime_pipeline.domain.market_data.candles import Float64
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import Int64
from regime_pipeline.domain.schema import RANKED
from regime_pipeline.domain.scoring.null_table import KNOT_QUANTILES, SCORE_KNOTS, SECTIONS, NullTable
from regime_pipeline.domain.scoring.ranks import as_evidence, blended_ranks, null_evidence
from regime_pipeline.domain.scoring.scores import raw_scores
from regime_pipeline.domain.simulation.regimes import simulate_null
from regime_pipeline.policy import Policy, default_policy
from regime_pipeline.services.null_table import NULL_TABLE_PATH, save_null_table

FIRST_SEED: Final = 710_000
"""Seeds below 710,000 + series are the table's own: judge the engine on others."""
SERIES: Final = 240
BARS: Final = 2_000
QUANTILES: Final = 256
_MARKET: Final = Market("NULL-USDT", "1h")


def make_null_table(policy: Policy, first_seed: int = FIRST_SEED, series: int = SERIES, bars: int = BARS) -> NullTable:
    """Return the null table of a policy.

    Parameters
    ----------
    policy : Policy
        What to calibrate.
    first_seed, series, bars : int
        Driftless walks of `bars` hourly candles with the seeds first_seed .. first_seed + series - 1.
    """
    walks = [_null_features(policy, seed, bars) for seed in range(first_seed, first_seed + series)]
    quantiles = {name: _even_quantiles([_evidence(name, walk, policy) for walk in walks]) for name in RANKED}
    table = NullTable(policy.hash_of(*SECTIONS), quantiles, {})
    return NullTable(table.made_for, quantiles, _knots(walks, policy, table))


def _null_features(policy: Policy, seed: int, bars: int) -> Rows:
    """Feature rows of one walk, those with a whole window."""
    candles = simulate_null(_MARKET, bars, seed)
    return compute_features(candles, candles.open_time_ms[policy.features.window_bars :], policy)


def _evidence(name: str, walk: Rows, policy: Policy) -> Float64:
    """A ranked feature of one walk as the table keeps it, where its trailing window is full."""
    values, at = as_evidence(name, walk[name]), _fully_ranked(walk, policy)
    return null_evidence(name, values, at, at - policy.scores.rank_observations)


def _fully_ranked(walk: Rows, policy: Policy) -> Int64:
    """Places of a walk with as many earlier observations as a rank looks back on."""
    return np.arange(policy.scores.rank_observations, len(walk["status"]))


def _even_quantiles(samples: Sequence[Float64]) -> Float64:
    """The middles of `QUANTILES` equal shares of the pooled samples, as stored: six significant digits."""
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return np.array([float(f"{value:.6g}") for value in np.quantile(np.concatenate(samples), shares)])


def _knots(walks: Sequence[Rows], policy: Policy, table: NullTable) -> dict[str, Float64]:
    """Where the raw scores of fully ranked observations lie on the null."""
    raw: dict[str, list[Float64]] = {}
    for walk in walks:
        at = _fully_ranked(walk, policy)
        ranks, _ = blended_ranks(Observations.of(walk, _MARKET), at, policy.scores, table)
        for name, values in raw_scores(ranks, policy.scores).items():
            raw.setdefault(name, []).append(values)
    return {name: _knot_values(np.concatenate(values)) for name, values in raw.items()}


def _knot_values(raw: Float64) -> Float64:
    """Ends of the scale and the null's quantiles between them, as stored: six significant digits."""
    middle = [float(f"{value:.6g}") for value in np.quantile(raw, KNOT_QUANTILES)]
    return np.array([SCORE_KNOTS[0], *middle, SCORE_KNOTS[-1]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the null table of the default policy."""
    parser = argparse.ArgumentParser(prog="python -m regime_pipeline.evaluation.calibrate", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=NULL_TABLE_PATH, help="file to write")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="first seed")
    parser.add_argument("--series", type=int, default=SERIES, help="number of walks")
    parser.add_argument("--bars", type=int, default=BARS, help="candles per walk")
    chosen = parser.parse_args(arguments)
    table = make_null_table(default_policy(), chosen.seed, chosen.series, chosen.bars)
    made_from = {"first_seed": chosen.seed, "series": chosen.series, "bars": chosen.bars}
    save_null_table(chosen.output, table, made_from)


if __name__ == "__main__":
    main()
