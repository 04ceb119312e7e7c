"""Alerts to people: one JSON object posted to a webhook of theirs.

What is worth an alert is decided elsewhere.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import Final

import orjson

from regime_pipeline.domain.errors import UsageError

TIMEOUT_SECONDS: Final = 10


def send_alert(url: str, alert: Mapping[str, str]) -> None:
    """Post an alert as JSON.

    Raises
    ------
    UsageError
        The URL is no http(s) URL.
    OSError
        The receiver could not be reached or refused.
    """
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"REGIME_ALERT_URL is '{url}', not an http(s) URL.")
    request = urllib.request.Request(url, orjson.dumps(dict(alert)), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - http(s) only, see above
        pass
