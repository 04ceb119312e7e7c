"""The policy: every threshold, frozen, validated and hashed; the shipped numbers are in `policy.toml`."""

from regime_pipeline.policy.engine import (
    CandleRegimePolicy,
    FeaturesPolicy,
    GridCapacityPolicy,
    HolesPolicy,
    Policy,
    RangesPolicy,
    ScoresPolicy,
    default_policy,
    load_policy,
    recorded_policy,
)
from regime_pipeline.policy.section import PolicyError

__all__ = [
    "CandleRegimePolicy",
    "FeaturesPolicy",
    "GridCapacityPolicy",
    "HolesPolicy",
    "Policy",
    "PolicyError",
    "RangesPolicy",
    "ScoresPolicy",
    "default_policy",
    "load_policy",
    "recorded_policy",
]
