"""When a probationary grid has proved itself.

Its parameters stand in `probation`, what stops it at once in `quick_stops`.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import ge, lt

from regime_pipeline.domain.grids.checks import Check, check
from regime_pipeline.policy_grids import GraduationPolicy


@dataclass(frozen=True, slots=True)
class ProbationRecord:
    """What a probationary grid did since its start.

    Parameters
    ----------
    bars, range_ok_bars : int
        Bars since the start, and those whose verdict is RANGE_OK.
    round_trips : int
        Completed: bought at a line and sold at the next.
    excursion_spacings : float
        Farthest price beyond an edge, in spacings; 0 inside.
    net_quote : float
        Realised gain after fees, quote currency.
    """

    bars: int
    range_ok_bars: int
    round_trips: int
    excursion_spacings: float
    net_quote: float


def graduation(record: ProbationRecord, policy: GraduationPolicy) -> tuple[Check, ...]:
    """Return every condition of graduation; the grid graduates when all are met."""
    share = record.range_ok_bars / record.bars if record.bars else 0.0
    return (
        check("BARS", "bars on probation", record.bars, ge, policy.min_bars),
        check("RANGE_OK_SHARE", "share of bars with RANGE_OK", share, ge, policy.range_ok_share_from),
        check("ROUND_TRIPS", "completed round trips", record.round_trips, ge, policy.min_round_trips),
        check(
            "EXCURSION",
            "farthest price beyond an edge in spacings",
            record.excursion_spacings,
            lt,
            policy.excursion_spacings_below,
        ),
        check("NET", "realised gain after fees in quote currency", record.net_quote, ge, policy.net_quote_from),
    )


def has_graduated(checks: tuple[Check, ...]) -> bool:
    """Return whether every condition is met."""
    return all(made.is_met for made in checks)
