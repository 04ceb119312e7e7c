"""`regime db`: what it says and its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from regime_pipeline.cli.db import db_app
from regime_pipeline.domain.errors import MissingDataError, StorageError, UsageError
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.embedded.server import EmbeddedServer, embedded_server
from regime_pipeline.storage.snapshots.store import SnapshotStore
from regime_pipeline_tests.storage.snapshots.factories import HOURLY, random_candles, snapshots_of

pytestmark = pytest.mark.postgres
Regime = Callable[..., Result]


@pytest.fixture
def regime_db(used_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Regime]:
    """Run `regime db` for a home of its own."""
    for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL", "POSTGRES_ACCOUNT"):
        monkeypatch.delenv(f"REGIME_{name}", raising=False)
    monkeypatch.setenv("REGIME_HOME", str(used_home))
    monkeypatch.setenv("COLUMNS", "200")
    yield lambda *arguments: CliRunner().invoke(db_app, arguments)
    embedded_server(used_home, "nobody").release()


def test_start_status_url_stop(regime_db: Regime, used_home: Path) -> None:
    started = regime_db("start")
    assert started.exit_code == 0
    assert started.output.startswith("PostgreSQL 18.")
    assert f"runs in {(used_home / 'postgres').resolve()}." in started.output.replace("\n", " ")
    url = regime_db("url").output.strip()
    with psycopg.connect(url) as connection:
        assert connection.info.dbname == "regimes"
    assert regime_db("url", "--dagster").output.strip().startswith("postgresql+psycopg2://postgres@/dagster?host=")
    status = regime_db("status")
    assert status.exit_code == 0
    assert "embedded, idle, running until `regime db stop`" in status.output
    assert "Run `regime db upgrade`" in status.output
    stopped = regime_db("stop")
    assert (stopped.exit_code, stopped.output) == (0, "The embedded PostgreSQL is stopped.\n")


def test_upgrade_makes_the_schema_current(regime_db: Regime) -> None:
    upgraded = regime_db("upgrade")
    assert upgraded.exit_code == 0
    assert upgraded.output.strip().endswith(f"is at revision {migrate.head()}.")
    status = regime_db("status")
    assert "in use, running until its last client leaves" in status.output
    assert status.output.split()[-2:] == ["schema", "current"]


def test_stopped_server(regime_db: Regime) -> None:
    status = regime_db("status")
    assert status.exit_code == 1
    assert "embedded, stopped. Start it with `regime db start`." in status.output
    url = regime_db("url")
    assert isinstance(url.exception, MissingDataError)
    assert str(url.exception) == "The embedded PostgreSQL does not run. Start it with `regime db start`."
    assert regime_db("stop").exit_code == 0


def test_used_server_is_stopped_by_force_only(regime_db: Regime, used_home: Path) -> None:
    client = EmbeddedServer(used_home)
    client.attach()
    refused = regime_db("stop")
    assert refused.exit_code == 3
    assert "the last of them will stop it" in refused.output
    assert client.status().is_running
    assert regime_db("stop", "--force").exit_code == 0
    assert not client.status().is_running


def test_server_of_the_user(regime_db: Regime, monkeypatch: pytest.MonkeyPatch, each_postgres_url: str) -> None:
    monkeypatch.setenv("REGIME_DATABASE_URL", each_postgres_url)
    assert regime_db("url").output == f"{each_postgres_url}\n"
    status = regime_db("status")
    assert status.exit_code == 0
    assert status.output.split()[:2] == ["server", "external"]
    assert "directory" not in status.output
    for command in ("start", "stop"):
        refused = regime_db(command)
        assert isinstance(refused.exception, UsageError)
        assert "REGIME_DATABASE_URL names a server of yours" in str(refused.exception)


def test_unreachable_server_of_the_user_is_shown(regime_db: Regime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/db")
    status = regime_db("status")
    assert "cannot be reached" in status.output
    assert "secret" not in status.output
    assert "secret@127.0.0.1:1/db_dagster" in regime_db("url", "--dagster").output


def test_backup_and_restore(regime_db: Regime, tmp_path: Path) -> None:
    regime_db("upgrade")
    url = regime_db("url").output.strip()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO runs (code_version, config_hash, dirty_mark) VALUES ('1', 'c', 0)")
    file = tmp_path / "one.regime"
    assert f"{file}: " in regime_db("backup", str(file)).output
    refused = regime_db("restore", str(file))
    assert isinstance(refused.exception, StorageError)
    assert "--replace" in str(refused.exception)
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM runs")
    assert regime_db("restore", str(file)).output.startswith("Restored what was backed up at 20")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT code_version FROM runs").fetchall() == [("1",)]
    moved = regime_db("move")
    assert isinstance(moved.exception, UsageError)
    assert "nothing to move" in str(moved.exception)


def test_snapshots_of_past_hours_are_compacted(
    regime_db: Regime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGIME_SNAPSHOT_ROOT", str(tmp_path / "snapshots"))
    (tmp_path / "markets.toml").write_text(
        """partitions = {start = 2020-03-12T00:00:00Z}
[[markets]]
symbol = "ETH-USDT"
timeframes = ["1h"]
source = "files"
""",
        "utf-8",
    )
    monkeypatch.setenv("REGIME_MARKETS", str(tmp_path / "markets.toml"))
    SnapshotStore(str(tmp_path / "snapshots")).write(snapshots_of(random_candles(HOURLY, 50), 50))

    assert "Merged 24 hourly files into daily files, 1 of them new" in " ".join(
        regime_db("compact-snapshots", "--before", "2020-03-13T12:00Z").output.split()
    )
    assert "Merged 26 hourly files into daily files, 2 of them new" in " ".join(
        regime_db("compact-snapshots").output.split()
    )
    assert "nothing to compact" in " ".join(regime_db("compact-snapshots").output.split())
    assert sorted(path.name for path in (tmp_path / "snapshots/2020/03").glob("*/*.day")) == ["ETH-USDT_1h.day"] * 3
