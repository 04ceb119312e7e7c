"""PostgreSQL URLs: any accepted spelling in, the exact spelling for SQLAlchemy, Dagster or libpq out.

See `pool` for connections, `databases` for which server is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from regime_pipeline.domain.errors import UsageError

_SCHEMES: Final = frozenset({"postgres", "postgresql"})
_SECRET_KEYS: Final = frozenset({"password", "sslpassword"})
_EXAMPLE: Final = "Write it as postgresql://user:password@host:5432/database."
_ENCODE: Final = "Percent-encode special characters of the user name and password ('@' is %40, '#' is %23, '/' is %2F)."


@dataclass(frozen=True, slots=True)
class _Parts:
    """A URL taken apart; `authority` stays percent-encoded, the rest is decoded."""

    authority: str
    database: str
    query: tuple[tuple[str, str], ...]

    def render(self, scheme: str) -> str:
        """Write the URL so that libpq and SQLAlchemy read the same (neither a raw space nor a raw plus)."""
        query = "&".join(f"{key}={quote(value, safe='/,:')}" for key, value in self.query)
        return f"{scheme}://{self.authority}/{quote(self.database, safe='')}{'?' if query else ''}{query}"


def libpq_url(url: str) -> str:
    """Return the plain `postgresql://` form, as `psycopg.connect` and psql read it.

    Raises
    ------
    UsageError
        The URL is not a PostgreSQL one.
    """
    return _parse(url).render("postgresql")


def sqlalchemy_url(url: str) -> str:
    """Return the `postgresql+psycopg://` form for our own engines (psycopg 3); errors as `libpq_url`."""
    return _parse(url).render("postgresql+psycopg")


def dagster_url(url: str) -> str:
    """Return the `postgresql+psycopg2://` form that dagster-postgres needs; errors as `libpq_url`."""
    return _parse(url).render("postgresql+psycopg2")


def database_name(url: str) -> str:
    """Return the name of the database in a URL, empty when it names none; errors as `libpq_url`."""
    return _parse(url).database


def with_database(url: str, name: str) -> str:
    """Return the URL in libpq form with another database on the same server; errors as `libpq_url`."""
    return replace(_parse(url), database=name).render("postgresql")


def redacted(url: str) -> str:
    """Return the URL with every password replaced by `***`, for messages; never raises."""
    try:
        parts = _parse(url)
    except UsageError:
        return "<not a PostgreSQL URL>"
    credentials, at, host = parts.authority.rpartition("@")
    user, colon, _ = credentials.partition(":")
    query = tuple((key, "***" if key in _SECRET_KEYS else value) for key, value in parts.query)
    authority = f"{user}{':***' if colon else ''}{at}{host}"
    return _Parts(authority, parts.database, query).render("postgresql").replace("%2A%2A%2A", "***")


def _parse(url: str) -> _Parts:
    """Take a URL apart; a socket directory given as an encoded host and a `dbname` parameter find their usual place."""
    scheme = url.partition("://")[0].partition("+")[0].lower() if "://" in url else ""
    if scheme not in _SCHEMES:
        raise UsageError(
            "The database URL is not a PostgreSQL URL" + (f" but {scheme}://." if scheme else "."), _EXAMPLE
        )
    split = _split(url)
    query = tuple(_pair(item) for item in split.query.split("&") if item)
    database = unquote(split.path.removeprefix("/")) or dict(query).get("dbname", "")
    credentials, at, host = split.netloc.rpartition("@")
    if host.lower().startswith("%2f"):
        socket, _, port = unquote(host).partition(":")
        query += (("host", socket),) + ((("port", port),) if port else ())
        host = ""
    return _Parts(f"{credentials}{at}{host}", database, tuple(item for item in query if item[0] != "dbname"))


def _split(url: str) -> SplitResult:
    """Split a URL, refusing the traces of an unencoded password, which would otherwise end up in messages."""
    try:
        split = urlsplit(url)
        if "," not in split.netloc:
            split.port  # noqa: B018 - reading it validates it
    except ValueError:
        raise UsageError("The database URL cannot be read.", _ENCODE) from None
    if split.fragment or "@" in split.path or "@" in split.query:
        raise UsageError("The database URL has a stray '@' or '#'.", _ENCODE)
    return split


def _pair(item: str) -> tuple[str, str]:
    """Decode one query parameter as libpq does: a plus is a plus."""
    key, _, value = item.partition("=")
    return unquote(key), unquote(value)
