"""Fresh, repeated and concurrent upgrades; checks that name the remedy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.resources import files

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from regime_pipeline.domain.errors import StorageError
from regime_pipeline.storage import revision
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.admin.migrate import VERSION_TABLE, check, current, head, upgrade
from regime_pipeline.storage.alert_log import AlertStore
from regime_pipeline.storage.pool import ConnectionPool
from regime_pipeline.storage.urls import with_database


def set_revision(url: str, revision: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = %s", (revision,))


def test_an_empty_database_comes_to_head_and_stays_there(each_postgres_url):
    assert current(each_postgres_url) is None
    with pytest.raises(StorageError, match=r"has no schema yet.*Run `regime db upgrade`"):
        check(each_postgres_url)
    assert upgrade(each_postgres_url) == head()
    check(each_postgres_url)
    with psycopg.connect(each_postgres_url) as connection:
        before = connection.execute("SELECT max(oid) FROM pg_class").fetchone()
        assert upgrade(each_postgres_url) == head()
        assert connection.execute("SELECT max(oid) FROM pg_class").fetchone() == before


def test_concurrent_upgrades_all_succeed(each_postgres_url):
    with ThreadPoolExecutor(4) as threads:
        reached = list(threads.map(upgrade, [each_postgres_url] * 4))
    assert reached == [head()] * 4
    check(each_postgres_url)


def test_every_column_of_ours_says_what_it_holds_and_nothing_else_is_described(each_postgres_url: str) -> None:
    with psycopg.connect(each_postgres_url) as connection:
        connection.execute("CREATE TABLE somebody_elses (symbol text)")
    upgrade(each_postgres_url)

    with psycopg.connect(each_postgres_url) as connection:
        found = connection.execute(
            "SELECT relname, attname, col_description(attrelid, attnum) FROM pg_attribute JOIN pg_class c"
            " ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
            " AND attnum > 0 AND NOT attisdropped AND relname <> %s",
            (VERSION_TABLE,),
        ).fetchall()

    assert {(table, column) for table, column, said in found if not said} == {("somebody_elses", "symbol")}
    said = {(table, column): text for table, column, text in found}
    assert said["market_verdicts", "known_at"].startswith("when the row could be known at the earliest")
    assert said["market_candles", "close"] == said["candles", "close"] == "last price, quote currency"


def test_a_failing_upgrade_leaves_nothing_behind(database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE series (mine int)")
    with pytest.raises(StorageError, match='"series" already exists'):
        upgrade(database_url)
    assert current(database_url) is None
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_a_newer_database_is_refused_untouched(database_url):
    upgrade(database_url)
    set_revision(database_url, "9999")
    for refuses in (check, upgrade):
        with pytest.raises(StorageError, match=r"at revision 9999.*update regime-pipeline"):
            refuses(database_url)
    assert current(database_url) == "9999"


def test_an_older_database_gets_the_command_to_upgrade(database_url, monkeypatch):
    upgrade(database_url)
    monkeypatch.setattr(migrate, "head", lambda: "9999")
    with pytest.raises(StorageError, match=r"at revision \d{4}, behind 9999.*regime db upgrade"):
        check(database_url)


def test_an_old_server_is_refused(database_url, monkeypatch):
    monkeypatch.setattr(migrate, "OLDEST_SERVER", 99)
    with pytest.raises(StorageError, match=r"is PostgreSQL 1[5-9].*Use 99 or newer"):
        upgrade(database_url)


def test_a_missing_database_is_an_error_without_its_password(database_url):
    missing = with_database(database_url, "no_such_database").replace("postgresql://", "postgresql://u:secret@", 1)
    with pytest.raises(StorageError, match="regime db status") as error:
        current(
            missing if "@" not in database_url.partition("?")[0] else with_database(database_url, "no_such_database")
        )
    assert "secret" not in str(error.value)


def test_the_history_has_one_head_and_travels_with_the_package():
    script = ScriptDirectory.from_config(migrate._config())
    assert script.get_heads() == [head()]
    shipped = {entry.name for entry in (files("regime_pipeline") / "storage" / "migrations" / "versions").iterdir()}
    assert {"r0001_initial.py", "r0001_initial.sql"} <= shipped


def test_a_quick_look_knows_the_newest_revision_alone(database_url: str) -> None:
    assert migrate.head() == revision.HEAD
    assert not revision.is_current(database_url)
    migrate.upgrade(database_url)
    assert revision.is_current(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE regime_alembic_version SET version_num = '9999'")
    assert not revision.is_current(database_url)
    assert not revision.is_current("postgresql://127.0.0.1:1/none")


def test_regimes_of_before_keep_the_time_of_their_run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision 4: rows have the moment of their write; those that were there have none, and the view says the run's."""
    to_head = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: to_head(config, "0002"))
        upgrade(database_url)
    row = "INSERT INTO candle_regime (open_time, series_id, run_id, confidence, state) VALUES (%s, 1, 1, 0.5, 3)"
    created = "SELECT created_at < now() FROM market_regimes ORDER BY open_time"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO series (venue, symbol, timeframe, step, price_scale) VALUES ('x','A','1h','1h',1)"
        )
        connection.execute("INSERT INTO runs (code_version, config_hash, dirty_mark) VALUES ('x', 'x', 0)")
        connection.execute("UPDATE runs SET started_at = '2020-01-01Z'")
        connection.execute(row, ("2020-01-01T00:00Z",))
    upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(row, ("2020-01-01T01:00Z",))
        assert connection.execute(created).fetchall() == [(True,), (False,)]
        written = connection.execute("SELECT written_at IS NULL FROM candle_regime ORDER BY open_time").fetchall()
    assert written == [(True,), (False,)]


def test_what_an_older_version_sent_stays_sent(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision 8: an alert is claimed before it is sent; what was recorded before it counts as sent."""
    to_head = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: to_head(config, "0007"))
        upgrade(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO alert_log (alert_id, channel, message) VALUES ('old', 'a', 'said')")
    upgrade(database_url)
    with closing(ConnectionPool(database_url)) as pool:
        alerts = AlertStore(pool)
        assert [alert.message for alert in alerts.sent(10)] == ["said"]
        assert not alerts.claim("old", "a", "said")
        assert alerts.claim("new", "a", "said")
        assert len(alerts.sent(10)) == 1
