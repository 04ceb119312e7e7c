"""API keys: created once, shown once, stored as a hash; read and write scopes.

See `storage.api_keys` for the table, the route modules for which scope a route needs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock
from typing import Final, Literal

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.storage.api_keys import AccessStore, StoredKey

Scope = Literal["read", "write"]
_PREFIX: Final = "regime"
_SECRET_BYTES: Final = 32
_MOST_KNOWN: Final = 10_000
_NOBODY: Final = hashlib.sha256(b"").hexdigest()


class KnownKeys:
    """Digests of the newest keys that were found in force, so that a made-up key is nobody's in particular."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def remember(self, text: str, key_id: str) -> None:
        """Keep a key that has just been verified."""
        with self._lock:
            self._ids[_hash(text)] = key_id
            while len(self._ids) > _MOST_KNOWN:
                self._ids.popitem(last=False)

    def key_id(self, text: str) -> str | None:
        """Return the id of a key that was verified before; None for any other text."""
        return self._ids.get(_hash(text))


def create_key(store: AccessStore, name: str, scope: Scope) -> str:
    """Make a key, keep its hash, and return it: it cannot be shown again.

    Notes
    -----
    `regime_ID_SECRET`; the secret has 256 random bits, so an unsalted SHA-256 of it tells nothing.
    """
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(_SECRET_BYTES)
    store.add_key(key_id, name, scope, _hash(secret))
    return f"{_PREFIX}_{key_id}_{secret}"


def find_key(store: AccessStore, text: str) -> StoredKey | None:
    """Return the key in force that a text is; None for any other text, in the same time."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    found = store.key(key_id) if prefix == _PREFIX and key_id.isascii() and key_id.isalnum() else None
    is_right = hmac.compare_digest(_hash(secret), found.secret_hash if found else _NOBODY)
    return found if found and is_right and found.revoked_at is None else None


def permits(key: StoredKey, scope: Scope) -> bool:
    """Say whether a key permits a scope; writing includes reading."""
    return key.scope == "write" or scope == "read"


def revoke_key(store: AccessStore, key_id: str) -> None:
    """Revoke a key; raises `UsageError` where there is no such key in force."""
    if not store.revoke_key(key_id):
        raise UsageError(f"There is no active key {key_id}.", "List the keys with `regime keys list`.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
