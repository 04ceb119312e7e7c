"""Requests to a bulk archive: a file, its absence, or a failure that says whether a retry may help.

See `archive` for what is made of the files.
"""

from __future__ import annotations

from functools import partial
from typing import Final
from weakref import finalize

import httpx

from regime_pipeline.retry import RequestError, RetryPolicy, is_passing_status, retry

MAX_BYTES: Final = 1 << 28
"""Most bytes of one packed file; a month of minutes has about three million."""
_OK: Final = 200
_ABSENT: Final = 404


class ArchiveHttp:
    """An archive behind a base URL.

    Parameters
    ----------
    base_url : str
        What stands before `/data/spot/…`.
    timeout_s : float
        Of one request.
    patience : RetryPolicy
        Tries and waits; `limit_s` holds for one file.
    """

    def __init__(self, base_url: str, timeout_s: float, patience: RetryPolicy) -> None:
        self._client = httpx.Client(base_url=base_url.rstrip("/"), timeout=timeout_s, follow_redirects=True)
        finalize(self, self._client.close)
        self._patience = patience

    def get(self, path: str) -> bytes | None:
        """Return a file's content; None for a 404.

        Raises
        ------
        SourceError
            It failed for good, or did not come within the tries.
        """
        deadline = self._patience.clock() + self._patience.limit_s
        return retry(partial(self._get, path), self._patience, deadline, f"Archive, {path}")

    def _get(self, path: str) -> bytes | None:
        try:
            with self._client.stream("GET", f"/{path}") as answer:
                if answer.status_code == _ABSENT:
                    return None
                _refuse_failure(answer)
                return _content(answer)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise RequestError(f"{type(error).__name__}: {error}", is_transient=True) from error


def _content(answer: httpx.Response) -> bytes:
    """The whole body, within the limit."""
    content = bytearray()
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > MAX_BYTES:
            raise RequestError(f"the file is larger than {MAX_BYTES >> 20} MiB", is_transient=False)
    return bytes(content)


def _refuse_failure(answer: httpx.Response) -> None:
    """Raise for every status but success."""
    if answer.status_code == _OK:
        return
    wait = answer.headers.get("retry-after", "")
    raise RequestError(
        f"HTTP {answer.status_code} {answer.reason_phrase}",
        is_transient=is_passing_status(answer.status_code),
        wait_s=float(wait) if wait.isdigit() else 0.0,
    )
