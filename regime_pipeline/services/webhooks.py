"""Verdict changes and failed runs sent to webhooks: one signed JSON object each, in order, retried until it arrives.

The caller remembers which changes were sent. See `domain.verdicts` for what a verdict is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from regime_pipeline.domain.errors import RegimeError, UsageError
from regime_pipeline.domain.known_at import hour_known_at
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_iso
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.retry import RequestError, RetryPolicy, is_passing_status, retry
from regime_pipeline.services.chain.workspace import Workspace


def send_alert(url: str, alert: Mapping[str, str]) -> None:
    """Post an alert as JSON.

    Raises
    ------
    UsageError
        The URL is not an http(s) URL.
    RequestError
        The receiver could not be reached, refused, or named another address: a redirect is not followed.
    """
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"REGIME_ALERT_URL is '{url}', not an http(s) URL.")
    _post(url, orjson.dumps(dict(alert)), {"Content-Type": "application/json"})


TIMEOUT_S: Final = 5.0
CATCH_UP_HOURS: Final = 24
"""After downtime at most so many hours of a market are reported; older changes are history."""
SIGNATURE: Final = "X-Regime-Signature"
"""Signs the body alone, so that a copy can be sent again: sent beside the standard headers until release 1.0."""
DELIVERY: Final = "X-Regime-Delivery"
_WHSEC: Final = "whsec_"
Memory = dict[str, dict[str, Any]]
"""By market: the last hour looked at (`hour`, epoch ms) and its `verdict`."""


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A verdict that differs from the hour before's; times in ISO-8601."""

    event: str
    symbol: str
    timeframe: str
    hour_start: str
    known_at: str
    verdict: str
    previous: str
    confidence: float

    @property
    def delivery(self) -> str:
        """The same for every try, so that a receiver can drop repetitions."""
        return f"{self.symbol}_{self.timeframe}_{self.hour_start}"


def verdict_changes(ws: Workspace, market: Market, known: Mapping[str, Any] | None) -> list[tuple[VerdictChange, int]]:
    """Return the changes of a market since what is known, oldest first, each with its hour in epoch milliseconds.

    Nothing is sent about a market that is seen for the first time.
    """
    newest = ws.warehouse.latest(market, "regime_verdicts")
    if newest is None or known is None or newest <= known["hour"]:
        return []
    first = max(int(known["hour"]) + HOUR_MS, newest - (CATCH_UP_HOURS - 1) * HOUR_MS)
    rows = ws.warehouse.read_range(
        "regime_verdicts", market, Window(first, newest + HOUR_MS), ["hour_start", "verdict", "confidence"]
    )
    changes, previous = [], str(known["verdict"])
    for hour, code, confidence in zip(*(column.tolist() for column in rows.values()), strict=True):
        if VERDICTS[code] != previous:
            times = to_iso(hour), to_iso(hour_known_at(hour))
            change = VerdictChange(
                "verdict_changed", market.symbol, market.timeframe, *times, VERDICTS[code], previous, confidence
            )
            changes.append((change, hour))
            previous = VERDICTS[code]
    return changes


def newest_verdict(ws: Workspace, market: Market) -> dict[str, Any] | None:
    """Return the newest hour and verdict of a market, for the next look; None while it has none."""
    newest = ws.warehouse.latest(market, "regime_verdicts")
    if newest is None:
        return None
    rows = ws.warehouse.read_range("regime_verdicts", market, Window(newest, newest + HOUR_MS), ["verdict"])
    return {"hour": newest, "verdict": VERDICTS[int(rows["verdict"][0])]}


def signature(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of a body, as `sha256=HEX`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_headers(body: bytes, secret: str, delivery: str, seconds: int) -> dict[str, str]:
    """Return the headers of Standard Webhooks: id, time of sending and an HMAC-SHA256 over both and the body.

    Parameters
    ----------
    body : bytes
        UTF-8.
    secret : str
        `whsec_` and base64 as the standard writes it; any other text is the key itself, as UTF-8.
    delivery : str
        The same for every try.
    seconds : int
        Unix time of this try; receivers refuse what is older than five minutes.

    Raises
    ------
    UsageError
        What follows `whsec_` is not base64.
    """
    signed = b".".join((delivery.encode(), str(seconds).encode(), body))
    digest = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    return {"webhook-id": delivery, "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{digest}"}


def _key(secret: str) -> bytes:
    if not secret.startswith(_WHSEC):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
    except binascii.Error:
        raise UsageError(
            "REGIME_HOOK_SECRET begins with whsec_, and what follows is not base64.", "Correct the setting."
        ) from None


def deliver(url: str, secret: str, change: VerdictChange, patience: RetryPolicy) -> None:
    """Post a change.

    Raises
    ------
    UsageError
        The URL is not an http(s) URL, or there is no secret to sign with.
    SourceError
        The receiver refused, or did not answer within the tries.
    """
    post_signed(url, secret, asdict(change), change.delivery, patience)


def post_signed(url: str, secret: str, document: Mapping[str, Any], delivery: str, patience: RetryPolicy) -> None:
    """Post a JSON object, signed, with an id that is the same for every try; errors as `deliver`."""
    if not url.startswith(("https://", "http://")) or not secret:
        raise UsageError(
            "REGIME_HOOK_URL or the webhook of a channel must be an http(s) URL, and REGIME_HOOK_SECRET must be set.",
            "Correct the settings.",
        )
    body = orjson.dumps(document)
    headers = {"Content-Type": "application/json", SIGNATURE: signature(body, secret), DELIVERY: delivery}

    def attempt() -> None:
        _post(url, body, headers | standard_headers(body, secret, delivery, int(time.time())))

    retry(attempt, patience, patience.clock() + patience.limit_s, f"The webhook for {delivery}")


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Post once. No redirect is followed: a receiver could name an address that only we can reach."""
    import httpx  # only those who send something need it

    try:
        answer = httpx.post(url, content=body, headers=dict(headers), timeout=TIMEOUT_S)
    except httpx.TransportError as error:
        raise RequestError(f"{type(error).__name__}", is_transient=True) from error
    if not answer.is_success:
        raise RequestError(f"HTTP {answer.status_code}", is_transient=is_passing_status(answer.status_code))


def notify_changes(ws: Workspace, memory: Memory, tell: Callable[[VerdictChange], None]) -> tuple[Memory, int, str]:
    """Send every change since the last call, market by market; one that fails is sent again the next time.

    Returns
    -------
    tuple
        The new memory, how many changes were sent, and the first failure in words (empty without one).
    """
    new, sent, failure = dict(memory), 0, ""
    for market in ws.universe.markets:
        key = str(market)
        try:
            for change, hour in verdict_changes(ws, market, new.get(key)):
                tell(change)
                new[key] = {"hour": hour, "verdict": change.verdict}
                sent += 1
        except RegimeError as error:
            failure = failure or str(error)
            continue
        newest = newest_verdict(ws, market)
        if newest is not None:
            new[key] = newest
    return new, sent, failure
