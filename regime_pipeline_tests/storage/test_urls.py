"""Every accepted spelling of a database URL comes out in each of the three forms, and no password in a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.storage.urls import (
    dagster_url,
    database_name,
    libpq_url,
    redacted,
    sqlalchemy_url,
    with_database,
)

SCHEMES = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg", "PostgreSQL"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "rest",
    ["u:p@h:5433/db", "u@h/db?sslmode=require", "/db?host=/run/socket", "u@/db?host=/run/a,b", "u:p%40x@[::1]:5432/db"],
)
def test_any_scheme_gives_the_three_forms(scheme: str, rest: str) -> None:
    url = f"{scheme}://{rest}"
    assert libpq_url(url) == f"postgresql://{rest}"
    assert sqlalchemy_url(url) == f"postgresql+psycopg://{rest}"
    assert dagster_url(url) == f"postgresql+psycopg2://{rest}"
    assert make_url(dagster_url(url)).get_dialect().driver == "psycopg2"
    assert make_url(sqlalchemy_url(url)).get_dialect().driver == "psycopg"


@given(
    user=st.text(min_size=1, max_size=8),
    password=st.text(min_size=1, max_size=8),
    database=st.text(min_size=1, max_size=8),
    socket=st.text(max_size=12),
)
def test_libpq_and_sqlalchemy_read_the_same(user: str, password: str, database: str, socket: str) -> None:
    from urllib.parse import quote

    if "\0" in user + password + database + socket:
        return
    host = f"/{socket}"
    url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(database, safe='')}?host={quote(host)}"
    libpq = conninfo_to_dict(libpq_url(url))
    ours = make_url(sqlalchemy_url(url))
    assert libpq == {"user": user, "password": password, "dbname": database, "host": host}
    assert (ours.username, ours.password, ours.database, ours.query["host"]) == (user, password, database, host)
    assert database_name(url) == database
    assert libpq_url(sqlalchemy_url(url)) == libpq_url(url) == libpq_url(dagster_url(url))


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("postgresql://u@%2Frun%2Fsocket/db", "postgresql://u@/db?host=/run/socket"),
        ("postgresql://%2Frun%2Fsocket:5433/db", "postgresql:///db?host=/run/socket&port=5433"),
        ("postgresql://h?dbname=db&sslmode=disable", "postgresql://h/db?sslmode=disable"),
        ("postgresql:///db?host=/a+b", "postgresql:///db?host=/a%2Bb"),
        ("postgresql://h1:1,h2:2/db", "postgresql://h1:1,h2:2/db"),
    ],
)
def test_libpq_spellings_find_the_usual_one(url: str, same: str) -> None:
    assert libpq_url(url) == same
    assert conninfo_to_dict(url) == conninfo_to_dict(same)


def test_another_database_on_the_same_server() -> None:
    url = "postgresql+psycopg://u:p@h:1/one?sslmode=require"
    assert with_database(url, "two/3") == "postgresql://u:p@h:1/two%2F3?sslmode=require"
    assert database_name(with_database("postgres://h?dbname=old", "new")) == "new"
    assert database_name("postgres://h") == ""


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:secret@h/db", r"not a PostgreSQL URL but mysql://\. Write it as"),
        ("sqlite:///regimes.db", "not a PostgreSQL URL but sqlite://"),
        ("host=h user=u password=secret", r"not a PostgreSQL URL\. "),
        ("", r"not a PostgreSQL URL\. "),
        ("postgresql://u:secret@h:port/db", "cannot be read. Percent-encode"),
        ("postgresql://u:secret@[::1/db", "cannot be read. Percent-encode"),
        ("postgresql://u:sec/ret@h/db", "Percent-encode"),
        ("postgresql://u:?secret@h/db", "stray '@'"),
        ("postgresql://u:#secret@h/db", "stray '@' or '#'"),
        ("postgresql://u:secret@h/db#x", "stray '@' or '#'"),
    ],
)
def test_other_urls_are_refused_without_their_password(url: str, message: str) -> None:
    for convert in (libpq_url, sqlalchemy_url, dagster_url, database_name):
        with pytest.raises(UsageError, match=message) as caught:
            convert(url)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert "secret" not in redacted(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:secret@h/db", "postgresql://u:***@h/db"),
        ("postgres://u@h/db", "postgresql://u@h/db"),
        ("postgres://h/db", "postgresql://h/db"),
        ("postgres://u:sec%40ret@h/db", "postgresql://u:***@h/db"),
        ("postgres://u:se:cret@h/db", "postgresql://u:***@h/db"),
        ("postgres://u:a@b@h/db", "postgresql://u:***@h/db"),
        ("postgres://h/db?user=u&password=secret", "postgresql://h/db?user=u&password=***"),
        ("postgres://h/db?sslpassword=secret", "postgresql://h/db?sslpassword=***"),
        ("nonsense", "<not a PostgreSQL URL>"),
    ],
)
def test_passwords_are_redacted(url: str, shown: str) -> None:
    assert redacted(url) == shown
