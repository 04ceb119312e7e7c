"""Alerts on their way: each on its channels, claimed before it is sent and settled after; quiet hours make it wait.

See `events` for what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from regime_pipeline.domain.errors import RegimeError, SourceError, UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import to_iso
from regime_pipeline.retry import RetryPolicy
from regime_pipeline.services.alerts.events import LOOKBACK_HOURS, Alert, alerts_of
from regime_pipeline.services.alerts.rules import AlertRules, Channel, Rule
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.webhooks import post_signed

Send = Callable[[Channel, Alert], None]
_TITLES: Final = {
    "verdict": "verdict changed",
    "stop": "grid stopped",
    "permit": "restart permitted",
    "outside": "price outside the grid",
    "stale": "data too old",
    "failed_run": "run failed",
    "test": "test of a channel",
}
_MAIL: Final = ("mailto:", "mailtos:")
_CALLS_ALL: Final = re.compile("@(?=everyone|here)")


def due_alerts(ws: Workspace, rules: AlertRules, runs: Iterable[Alert] = ()) -> list[tuple[Alert, Channel]]:
    """Return what rules want sent of the last day, each with its channel, oldest first; what waits is left out.

    Parameters
    ----------
    ws : Workspace
        Its clock says what is recent and quiet.
    rules : AlertRules
        Who is notified.
    runs : iterable of Alert
        Failed runs, which are of no market.
    """
    now, found = ws.clock(), dict[tuple[str, str], tuple[Alert, Channel]]()
    first = max(now - LOOKBACK_HOURS * HOUR_MS, ws.warehouse.alerts.began_ms(now))
    in_market = cache(lambda market, stale_minutes: alerts_of(ws, market, stale_minutes))  # once for all its rules
    failed = tuple(runs)
    for rule in rules.rules:
        for alert in _wanted(ws, rule, failed, in_market):
            is_quiet = rules.quiet is not None and rules.quiet.holds(alert.event, now)
            if alert.at_ms >= first and not is_quiet:
                found |= {(alert.alert_id, name): (alert, rules.channel(name)) for name in rule.channels}
    return sorted(found.values(), key=lambda pair: pair[0].at_ms)


def _wanted(
    ws: Workspace, rule: Rule, runs: tuple[Alert, ...], in_market: Callable[[Market, int], list[Alert]]
) -> Iterator[Alert]:
    if "failed_run" in rule.events:
        yield from runs
    for market in filter(rule.is_about, ws.universe.markets):
        yield from (alert for alert in in_market(market, rule.stale_minutes) if alert.event in rule.events)


def tell(ws: Workspace, due: Iterable[tuple[Alert, Channel]], send: Send) -> tuple[int, list[str]]:
    """Send what was not sent yet; return how many were sent, and the failures in words.

    Notes
    -----
    An alert is claimed before it is sent, so that no two daemons send it; one that could not be sent is released, and
    sent at the next call. After a failure a channel is left alone until then. A claim of a process that was killed runs
    out (`storage.alert_log.CLAIM_S`), and the alert is sent again: on the channel it may then be there twice, with the
    same id, where the process was killed after the channel had taken it; it is never lost.
    """
    ledger, sent, failures = ws.warehouse.alerts, 0, dict[str, str]()
    for alert, channel in due:
        if channel.name in failures or not ledger.claim(alert.alert_id, channel.name, alert.message):
            continue
        try:
            send(channel, alert)
        except RegimeError as error:
            ledger.release(alert.alert_id, channel.name)
            failures[channel.name] = f"{channel.name}: {error}"
            continue
        ledger.settle(alert.alert_id, channel.name)
        sent += 1
    return sent, list(failures.values())


def sender(secret: str, patience: Callable[[], RetryPolicy]) -> Send:
    """Return the function that sends an alert on a channel: signed JSON to a webhook, a message by apprise elsewhere.

    Parameters
    ----------
    secret : str
        What webhooks are signed with (REGIME_HOOK_SECRET).
    patience : callable
        Gives how long a webhook is tried again.
    """

    def send(channel: Channel, alert: Alert) -> None:
        if channel.webhook:
            post_signed(channel.webhook, secret, _document(alert), alert.alert_id, patience())
        else:
            _by_apprise(channel, alert)

    return send


def _document(alert: Alert) -> dict[str, Any]:
    return {
        "event": alert.event,
        "id": alert.alert_id,
        "symbol": alert.market.symbol if alert.market else None,
        "timeframe": alert.market.timeframe if alert.market else None,
        "time": to_iso(alert.at_ms),
        "message": alert.message,
    }


def title_of(alert: Alert) -> str:
    """Return a subject line: what happened, and where."""
    where = "" if alert.market is None else f"{alert.market.symbol} {alert.market.timeframe}, "
    return f"regime_pipeline: {where}{_TITLES[alert.event]}"


def _by_apprise(channel: Channel, alert: Alert) -> None:
    """Send plain text: each service escapes what it would take for markup.

    Notes
    -----
    Mail goes as text alone, because apprise would make one unbreakable line of HTML beside it. A reason that somebody
    wrote must not call a whole Discord server.
    """
    try:
        import apprise
    except ImportError as error:
        raise UsageError(
            "This channel needs apprise, which is not installed.", "Run pip install 'regime-pipeline[alerts]'."
        ) from error
    text = apprise.NotifyFormat.TEXT
    service = apprise.Apprise.instantiate(channel.apprise)
    if service is None:
        raise UsageError("Its address is not one that apprise knows.", "See the list of services of apprise.")
    if channel.apprise.startswith(_MAIL):
        service.notify_format = text
    message = _CALLS_ALL.sub("@\u200b", alert.message)
    if not apprise.Apprise(service).notify(body=message, title=title_of(alert), body_format=text):
        raise SourceError("The service did not take the message.")
