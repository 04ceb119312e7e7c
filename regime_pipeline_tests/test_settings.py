"""Settings: defaults, environment, and one clear sentence for a bad value."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"REGIME_{field.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_lie_below_the_current_directory(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.model_dump() == {
        "home": tmp_path / ".regime",
        "database_url": None,
        "dagster_database_url": None,
        "postgres_account": "nobody",
        "markets": tmp_path / "markets.toml",
        "policy": None,
        "partition_start": None,
        "partition_end": None,
        "partition": "hour",
        "backfill": "single_run",
        "dagster_events": "bulk",
        "run_start": "fork",
        "snapshot_root": str(tmp_path / ".regime" / "snapshots"),
        "api_cors": "",
        "ui_hosts": "",
        "alert_url": "",
        "dashboard_url": "",
        "archive_url": "https://data.binance.vision",
        "exchange_url": "",
        "hook_url": "",
        "hook_secret": "",
        "hook_request_hours": 24,
        "sensors": True,
        "alerts": tmp_path / ".regime" / "alerts.toml",
        "exchange_timeout_seconds": 20.0,
        "simulation_seed": 7,
    }
    assert settings.dagster_home == tmp_path / ".regime" / "dagster"


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "HOME": "data",
        "DATABASE_URL": "postgres://u:secret@h/db",
        "DAGSTER_DATABASE_URL": "postgresql+psycopg2://u:secret@h/dag",
        "POSTGRES_ACCOUNT": "postgres",
        "MARKETS": "my/markets.toml",
        "POLICY": "my/policy.toml",
        "PARTITION_START": "2024-01-01T00:00:00+00:00",
        "PARTITION_END": "2024-02-01T02:00:00+02:00",
        "PARTITION": "day",
        "BACKFILL": "multi_run",
        "DAGSTER_EVENTS": "stock",
        "RUN_START": "stock",
        "SNAPSHOT_ROOT": "memory://snapshots",
        "SIMULATION_SEED": "11",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"REGIME_{name}", value)
    settings = Settings()
    assert settings.home == tmp_path / "data"
    assert settings.database_url == "postgresql://u:secret@h/db"
    assert settings.dagster_database_url == "postgresql://u:secret@h/dag"
    assert settings.markets == tmp_path / "my" / "markets.toml"
    assert settings.policy == tmp_path / "my" / "policy.toml"
    assert settings.partition_start == datetime(2024, 1, 1, tzinfo=UTC)
    assert settings.partition_end == datetime(2024, 2, 1, tzinfo=UTC)
    assert (settings.partition, settings.backfill) == ("day", "multi_run")
    assert (settings.dagster_events, settings.run_start) == ("stock", "stock")
    assert settings.snapshot_root == "memory://snapshots"
    assert (settings.simulation_seed, settings.postgres_account) == (11, "postgres")
    assert "secret" not in repr(settings)


def test_markets_of_the_home_come_first(tmp_path: Path) -> None:
    own = tmp_path / "elsewhere" / "markets.toml"
    own.parent.mkdir()
    own.touch()
    assert Settings(home=own.parent).markets == own
    assert Settings(home=own.parent, markets=Path("other.toml")).markets == tmp_path / "other.toml"


def test_local_snapshot_root_is_made_absolute(tmp_path: Path) -> None:
    assert Settings(snapshot_root="snaps").snapshot_root == str(tmp_path / "snaps")


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.setenv(f"REGIME_{field.upper()}", "")
    assert Settings().database_url is None
    assert Settings().simulation_seed == 7


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().partition = "day"  # type: ignore[misc]


def test_every_field_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PARTITION", "week", "REGIME_PARTITION is 'week': input should be 'hour' or 'day'. Correct or unset it."),
        (
            "PARTITION_START",
            "2024-01-01T00:00",
            "REGIME_PARTITION_START is '2024-01-01T00:00': input should have timezone info. Correct or unset it.",
        ),
        (
            "SIMULATION_SEED",
            "x",
            "REGIME_SIMULATION_SEED is 'x': input should be a valid integer. Correct or unset it.",
        ),
    ],
)
def test_a_bad_value_gives_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(f"REGIME_{name}", value)
    with pytest.raises(UsageError) as caught:
        Settings()
    assert str(caught.value) == sentence


def test_two_bad_values_give_two_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_PARTITION", "week")
    monkeypatch.setenv("REGIME_BACKFILL", "both")
    with pytest.raises(UsageError, match=r"REGIME_PARTITION is 'week'.*REGIME_BACKFILL is 'both'"):
        Settings()


def test_a_url_of_another_kind_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_DAGSTER_DATABASE_URL", "mysql://u:secret@h/db")
    with pytest.raises(UsageError, match=r"REGIME_DAGSTER_DATABASE_URL: .*mysql://") as caught:
        Settings()
    assert "secret" not in str(caught.value)
