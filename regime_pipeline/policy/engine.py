"""Thresholds of the engine: read from `policy.toml`, validated, frozen and hashed.

See `settings` for what a deployment may change about its surroundings (paths, URLs).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args

from pydantic import Field, ValidationError, model_validator

from regime_pipeline._bounded_io import parse_toml, read_document
from regime_pipeline.policy.gates import GatesPolicy
from regime_pipeline.policy.grids import GridsPolicy
from regime_pipeline.policy.section import (
    MAX_LOOKBACK_BARS,
    Bars,
    NotNegative,
    Percent,
    PolicyError,
    PolicySection,
    Positive,
    Share,
    Weights,
    refuse_beyond,
)

_ROUNDING: Final = 1e-9


class HolesPolicy(PolicySection):
    """Which holes the history of a candle regime may have (regimes.md section 1)."""

    max_absent_share: Annotated[float, Field(ge=0, le=0.5)]
    longest_bars: Annotated[int, Field(ge=0, le=MAX_LOOKBACK_BARS)]
    newest_whole_bars: Bars
    break_price_factor: Annotated[float, Field(gt=1, le=100)]

    def tolerated(self, bars: int) -> int:
        """Return how many bars may be absent among those that a window of `bars` candles spans."""
        return int(self.max_absent_share * bars + _ROUNDING)


class CandleRegimePolicy(PolicySection):
    """Thresholds of the 3D regime of a candle (regimes.md section 2)."""

    min_history_bars: Bars
    adx_bars: Bars
    adx_trend_from: Percent
    sma_fast_bars: Bars
    sma_slow_bars: Bars
    atr_bars: Bars
    bollinger_bars: Bars
    volatility_window_bars: Bars
    volatility_percentile: Percent
    roc_bars: Bars
    macd_fast_bars: Bars
    macd_slow_bars: Bars
    macd_signal_bars: Bars
    rsi_bars: Bars
    rsi_bullish_above: Percent
    rsi_bearish_below: Percent
    margin_spread_bars: Bars
    anchor_bars: Bars
    anchor_warmup_bars: Bars
    holes: HolesPolicy

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse thresholds that contradict each other."""
        if self.rsi_bearish_below > self.rsi_bullish_above:
            raise ValueError("rsi_bearish_below must not exceed rsi_bullish_above")
        if self.macd_fast_bars >= self.macd_slow_bars:
            raise ValueError("macd_fast_bars must be below macd_slow_bars")
        recursive = self.anchor_bars + self.anchor_warmup_bars + self.volatility_window_bars
        if recursive + self.holes.tolerated(self.min_history_bars) > MAX_LOOKBACK_BARS:
            raise ValueError(
                "anchor_bars + anchor_warmup_bars + volatility_window_bars and the bars that holes may add must not"
                f" exceed {MAX_LOOKBACK_BARS}"
            )
        warm = max(self.bollinger_bars, self.atr_bars + 1) + self.volatility_window_bars
        if self.min_history_bars < max(
            warm, 2 * self.adx_bars, self.macd_slow_bars + self.macd_signal_bars, self.sma_fast_bars
        ):
            raise ValueError("min_history_bars must cover the volatility window and every indicator's first bars")
        return self


class FeaturesPolicy(PolicySection):
    """Windows of the hourly features (regimes.md section 3)."""

    window_bars: Bars
    er_bars: Bars
    er_short_bars: Bars
    adx_bars: Bars
    adx_rising_bars: Bars
    change_bars: Bars
    slope_bars: Bars
    slope_lags: Bars
    donchian_bars: Bars
    donchian_cap_atr: Positive
    extreme_bars: Bars
    variance_ratio_q: Bars
    variance_ratio_bars: Bars
    ou_bars: Bars
    crossings_bars: Bars
    autocorrelation_bars: Bars
    rv_short_bars: Bars
    vol_of_vol_bars: Bars
    vol_steady_band: Annotated[float, Field(ge=0)]
    hurst_lags: Bars

    @model_validator(mode="after")
    def _inside_the_window(self) -> Self:
        """Refuse a feature that looks back further than the window, or whose indicator is not warm in time."""
        reach = {
            "er_bars": self.er_bars,
            "er_short_bars": self.er_short_bars,
            "slope_bars": self.slope_bars,
            "donchian_bars": self.donchian_bars + 1,
            "extreme_bars": 2 * self.extreme_bars,
            "variance_ratio_bars": self.variance_ratio_bars,
            "ou_bars": self.ou_bars,
            "crossings_bars": self.crossings_bars,
            "autocorrelation_bars": self.autocorrelation_bars,
            "rv_short_bars": self.rv_short_bars,
            "adx_bars": 2 * self.adx_bars + max(self.adx_rising_bars, self.change_bars),
            "vol_of_vol_bars": self.adx_bars + self.vol_of_vol_bars + 1,
        }
        refuse_beyond("window_bars", self.window_bars, reach)
        if self.variance_ratio_bars <= 2 * self.variance_ratio_q:
            raise ValueError("variance_ratio_bars must exceed twice variance_ratio_q")
        return self


class RangesPolicy(PolicySection):
    """Range discovery and its evidence (regimes.md sections 4 and 5)."""

    quantile_bars: Annotated[int, Field(ge=2, le=1024)]
    quantile_tail: Annotated[float, Field(gt=0, lt=0.5)]
    donchian_bars: Bars
    pivot_bars: Bars
    pivot_side_bars: Bars
    pivot_cluster_atr: Positive
    pivot_min_count: Bars
    profile_bars: Bars
    profile_share: Share
    profile_bins_per_atr: Bars
    channel_bars: Bars
    channel_std: Positive
    channel_max_t: Positive
    min_methods: Annotated[int, Field(ge=1, le=5)]
    min_agreement: Share
    quality_bars: Bars
    touch_atr: Positive
    leave_atr: Positive
    reentry_bars: Bars

    @model_validator(mode="after")
    def _touches_end(self) -> Self:
        """Refuse a touch that could never end."""
        if self.leave_atr < self.touch_atr:
            raise ValueError("leave_atr must not be below touch_atr")
        return self


class TrendWeights(Weights):
    """Parts of TrendScore."""

    efficiency_ratio: Share
    adx: Share
    slope_t: Share
    donchian_excess_atr: Share


class MeanRevWeights(Weights):
    """Parts of MeanRevScore."""

    variance_ratio_z: Share
    ou_t: Share
    median_crossings: Share
    autocorrelation: Share


class QualityWeights(Weights):
    """Parts of RangeQualityScore."""

    containment: Share
    touches: Share
    traversals: Share
    net_displacement: Share
    failed_breakouts: Share
    width: Share


class ScoresPolicy(PolicySection):
    """Ranks and the scores made of them (regimes.md sections 3 and 5)."""

    rank_observations: Bars
    min_ranked_observations: Bars
    own_rank_share: Share
    break_price_factor: Annotated[float, Field(gt=1, le=100)]
    adx_trend_from: Percent
    er_null_quantile: Share
    slope_t_from: Positive
    min_trend_votes: Annotated[int, Field(ge=1, le=3)]
    no_consensus_cap: Percent
    containment_zero: Share
    containment_full: Share
    width_min_atr: Positive
    width_max_atr: Positive
    some_touches: Bars
    some_touches_part: Share
    full_touches: Bars
    some_traversals: Bars
    some_traversals_part: Share
    full_traversals: Bars
    trend_weights: TrendWeights
    mean_rev_weights: MeanRevWeights
    quality_weights: QualityWeights

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse thresholds that contradict each other."""
        if self.min_ranked_observations > self.rank_observations:
            raise ValueError("min_ranked_observations must not exceed rank_observations")
        pairs = ("containment_zero", "containment_full"), ("width_min_atr", "width_max_atr")
        counts = ("some_touches", "full_touches"), ("some_traversals", "full_traversals")
        for low, high in (*pairs, *counts):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self


class GridCapacityPolicy(PolicySection):
    """Costs and limits of a grid where none is configured (regimes.md section 5)."""

    fee_bps: NotNegative
    slippage_bps: NotNegative
    min_gain_bps: Positive
    capital_quote: Positive
    min_notional_quote: Positive
    notional_margin: Annotated[float, Field(ge=1)]
    min_levels: Bars
    zero_levels: Bars
    full_levels: Bars
    band_probability: Annotated[float, Field(ge=0.01, le=0.99)]
    band_hours: Annotated[int, Field(ge=12, le=168)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse a scale without length."""
        if not self.zero_levels < self.min_levels <= self.full_levels:
            raise ValueError("zero_levels < min_levels <= full_levels must hold")
        return self


class VerdictPolicy(PolicySection):
    """Bounds, confirmation and weights of the verdict (regimes.md section 6)."""

    range_weak_below: Percent
    transition_above: Percent
    trend_from: Percent
    class_margin: Share
    range_ok_probability_from: Share
    leave_range_ok_probability_below: Share
    range_ok_quality_from: Percent
    range_ok_mean_rev_from: Percent
    range_ok_trend_below: Percent
    leave_range_ok_quality_below: Percent
    leave_range_ok_trend_from: Percent
    leave_trend_below: Percent
    leave_transition_below: Percent
    confirm_observations: Bars
    alarm_confirm_observations: Bars
    trend_observations: Bars
    hysteresis_observations: Bars
    risk_from: Percent

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Refuse a hysteresis that would leave RANGE_OK sooner than it enters."""
        if self.leave_range_ok_probability_below > self.range_ok_probability_from:
            raise ValueError("leave_range_ok_probability_below must not exceed range_ok_probability_from")
        if self.leave_range_ok_quality_below > self.range_ok_quality_from:
            raise ValueError("leave_range_ok_quality_below must not exceed range_ok_quality_from")
        if self.leave_range_ok_trend_from < self.range_ok_trend_below:
            raise ValueError("leave_range_ok_trend_from must not be below range_ok_trend_below")
        if self.leave_trend_below > self.trend_from:
            raise ValueError("leave_trend_below must not exceed trend_from")
        if self.leave_transition_below > self.transition_above:
            raise ValueError("leave_transition_below must not exceed transition_above")
        return self


class Policy(PolicySection):
    """Every threshold, one section per stage."""

    candle_regime: CandleRegimePolicy
    features: FeaturesPolicy
    ranges: RangesPolicy
    scores: ScoresPolicy
    grid_capacity: GridCapacityPolicy
    verdict: VerdictPolicy
    grids: GridsPolicy
    gates: GatesPolicy

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        """Refuse a range method that looks back further than the features' window."""
        ranges = self.ranges
        names = ("quantile_bars", "pivot_bars", "profile_bars", "channel_bars", "quality_bars")
        reach = {name: getattr(ranges, name) for name in names} | {"donchian_bars": ranges.donchian_bars + 1}
        refuse_beyond("features.window_bars", self.features.window_bars, reach)
        return self

    def hash_of(self, *sections: str) -> str:
        """Return one hash over the named sections: what a stage that reads only these depends on."""
        joined = ",".join(f"{name}:{getattr(self, name).hash}" for name in sections)
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def load_policy(path: Path) -> Policy:
    """Read and validate a policy file.

    Raises
    ------
    PolicyError
        The file is unreadable, or a threshold is missing, unknown or out of bounds; every fault is named.
    """
    try:
        return Policy.model_validate(parse_toml(read_document(path)))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors())
        raise PolicyError(f"{path}: {faults}") from error
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: {error}") from error


def recorded_policy(document: Mapping[str, Any]) -> Policy:
    """Return a policy that was recorded earlier, maybe by another version of the package.

    Parameters
    ----------
    document : mapping
        What `Policy.model_dump(mode="json")` gave then. Thresholds that this version does not know are left out, those
        that it alone knows are the shipped ones: what both know is what explains a row.
    """
    known = _known(Policy, document, default_policy().model_dump(mode="json"))
    return Policy.model_validate_json(json.dumps(known))


def _known(section: type[PolicySection], document: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a section, from a document where it has them; of a symbol's own section likewise."""
    kinds = {name: _kind(field.annotation) for name, field in section.model_fields.items()}
    fields: dict[str, Any] = {}
    for name, (kind, is_by_symbol) in kinds.items():
        if kind is None:
            fields[name] = document.get(name, shipped[name])
        elif is_by_symbol:
            common = next(shipped[other] for other, found in kinds.items() if found == (kind, False))
            fields[name] = {symbol: _known(kind, own, common) for symbol, own in document.get(name, {}).items()}
        else:
            fields[name] = _known(kind, document.get(name, {}), shipped[name])
    return fields


def _kind(annotation: Any) -> tuple[type[PolicySection] | None, bool]:
    """The section that a field holds, None for a threshold, and whether it holds one for each symbol."""
    of_each = get_args(annotation)[-1:]
    (kind,) = of_each or (annotation,)
    is_section = isinstance(kind, type) and issubclass(kind, PolicySection)
    return (kind, bool(of_each)) if is_section else (None, False)


@lru_cache(maxsize=1)
def default_policy() -> Policy:
    """Return the policy shipped with the package."""
    return load_policy(Path(__file__).with_name("policy.toml"))
