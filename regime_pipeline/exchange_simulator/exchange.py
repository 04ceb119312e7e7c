"""One exchange: its tape, clock, faults and ledger together, and how every answer passes through them.

The forms of the answers stand in `binance`, `kucoin` and `archive`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from regime_pipeline.exchange_simulator.clock import Clock
from regime_pipeline.exchange_simulator.faults import Faults, Kind
from regime_pipeline.exchange_simulator.ledger import Ledger
from regime_pipeline.exchange_simulator.responses import Errors, with_faults
from regime_pipeline.exchange_simulator.tape import Listing, Tape


@dataclass(eq=False)
class Exchange:
    """Everything that the routes share.

    Parameters
    ----------
    listings : mapping of str to Listing
        The symbols.
    clock : Clock
        The exchange's clock.
    faults : Faults
        The faults in force.
    ledger : Ledger
        Request weights.
    """

    listings: Mapping[str, Listing]
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    ledger: Ledger = field(default_factory=Ledger)
    requests: list[str] = field(default_factory=list)
    """Path and query of every request but the control endpoint's, oldest first."""

    def __post_init__(self) -> None:
        """Wind the tape."""
        self.tape = Tape(self.listings, self.clock, self.faults)

    def told_time_ms(self) -> int:
        """Return the time as the exchange tells it, off by a fault where there is one."""
        fault = self.faults.hit(Kind.CLOCK_OFFSET)
        return self.clock.now_ms() + (round(fault.seconds * 1000) if fault else 0)

    def is_unknown(self, symbol: str) -> bool:
        """Say whether a fault took the symbol off the listing."""
        return bool(self.faults.of_bars(Kind.UNKNOWN_SYMBOL, symbol))

    def symbol_of(self, name: str, separator: str) -> str | None:
        """Return our symbol for the exchange's name of it; None for one that it does not list."""
        known = {symbol.replace("-", separator): symbol for symbol in self.listings if not self.is_unknown(symbol)}
        return known.get(name)

    async def answer(self, request: Request, symbol: str, weight: int, answer: Response, errors: Errors) -> Response:
        """Charge the request, let faults have their way, and return what goes out."""
        self.requests.append(f"{request.url.path}?{request.url.query}")
        status, wait_s, used = self.ledger.charge(weight)
        if status != 200:
            answer = errors.answer("rate_limit" if status == 429 else "ban", status, wait_s)
        else:
            answer = await with_faults(self.faults, symbol, request.url.path, answer, errors)
        answer.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        return answer
