"""The files of `docker/`, loaded by the programs that read them, as far as that goes without containers."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_celery.cli import get_validated_config

from regime_pipeline.pipeline.instance import BATCHING, PATIENCE
from regime_pipeline.pipeline.launchers.celery import WatchedCeleryRunLauncher
from regime_pipeline.settings import Settings
from regime_pipeline.storage.urls import dagster_url, libpq_url
from regime_pipeline_tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

DOCKER = REPOSITORY / "docker"
ROLES = ("schema", "code", "webserver", "daemon", "worker", "api", "site")
PUBLISHED = ("api", "site")
KNOWN = {f"REGIME_{name.upper()}" for name in Settings.model_fields}
NOT_IN_CONTAINERS = {"REGIME_HOME", "REGIME_MARKETS", "REGIME_POSTGRES_ACCOUNT"}
"""The image's home, which holds the markets file too, and the embedded server's account."""
DATABASES = {"REGIME_DATABASE_URL", "REGIME_DAGSTER_DATABASE_URL"}
FOR_THE_API = {
    *DATABASES,
    *("REGIME_POLICY", "REGIME_PARTITION", "REGIME_PARTITION_START", "REGIME_PARTITION_END"),
    *("REGIME_HOOK_REQUEST_HOURS", "REGIME_API_CORS"),
}
"""All that `regime serve` and `dashboard serve` read: they ask no source, read no snapshot and run no sensor."""
BROKER, BACKEND = "redis://127.0.0.1:6379/14", "redis://127.0.0.1:6379/15"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_CELERY_BROKER", BROKER)
    monkeypatch.setenv("REGIME_CELERY_BACKEND", BACKEND)


@pytest.mark.usefixtures("celery")
def test_dagster_loads_its_instance_with_postgres_and_celery(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> None:
    monkeypatch.setenv("DAGSTER_PG_URL", dagster_url(database_url))
    (tmp_path / "dagster.yaml").write_text((DOCKER / "dagster.yaml").read_text("utf-8"), "utf-8")

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, WatchedCeleryRunLauncher)
        assert launcher.inst_data is not None
        assert type(instance.event_log_storage).__name__ == "BulkEventLogStorage"
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 4
        instance.run_launcher.dispose()


def test_limits_and_retention_are_those_of_the_shipped_file() -> None:
    own, shipped = read(DOCKER / "dagster.yaml"), read(REPOSITORY / "dagster.yaml")

    assert set(own) - set(shipped) == {"compute_logs", "storage"}
    assert own["run_monitoring"].pop("start_timeout_seconds") > 600  # runs wait in the broker for a worker
    assert shipped["run_monitoring"].pop("start_timeout_seconds") == 60
    differing = {name for name in shipped if own[name] != shipped[name]}
    assert differing == {"run_launcher"}


@pytest.mark.usefixtures("celery")
def test_workers_read_the_broker_and_keep_long_runs() -> None:
    found = get_validated_config(str(DOCKER / "celery.yaml"))

    assert (found["broker"], found["backend"]) == (BROKER, BACKEND)
    assert found["config_source"]["broker_transport_options"]["visibility_timeout"] == 86_400
    launcher = read(DOCKER / "dagster.yaml")["run_launcher"]["config"]
    assert found["config_source"] == {**launcher["config_source"], "worker_max_tasks_per_child": 1}


def test_every_role_of_compose_uses_known_settings_and_files() -> None:
    compose = read(DOCKER / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"postgres", "redis", "grafana", *ROLES}
    for name in ROLES:
        role = services[name]
        assert all(needed in services for needed in role["depends_on"])
        assert role["volumes"] == ["${REGIME_DATA:-data}:/data"]
        assert role["cap_drop"] == ["ALL"]
        assert role["security_opt"] == ["no-new-privileges:true"]
        assert role["init"] is True
        assert role["mem_limit"] == "${REGIME_MEMORY:-2g}"
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
    health = {name for name, service in services.items() if "healthcheck" in service}
    assert health == set(services) - {"schema", "code"}, "schema ends, code has the image's"
    environment = services["code"]["environment"]
    plain = re.sub(r"\$\{POSTGRES_PASSWORD[^}]*\}", "secret", environment["REGIME_DATABASE_URL"])
    assert libpq_url(plain) == "postgresql://regime:secret@postgres:5432/regime"
    assert environment["DAGSTER_PG_URL"].startswith("postgresql+psycopg2://")
    image = (DOCKER / "Dockerfile").read_text("utf-8")
    for file in ("dagster.yaml", "workspace.yaml", "celery.yaml"):
        assert f"docker/{file}" in image
        assert (DOCKER / file).is_file()


@pytest.mark.parametrize("name", ROLES)
def test_every_setting_reaches_the_role_or_is_left_out_on_purpose(name: str) -> None:
    environment = read(DOCKER / "compose.yaml")["services"][name]["environment"]
    settings = {key for key in environment if key.startswith("REGIME_") and "CELERY" not in key}

    assert settings == (FOR_THE_API if name in PUBLISHED else KNOWN - NOT_IN_CONTAINERS)
    passed_on = settings - DATABASES
    assert {key: environment[key] for key in passed_on} == {key: f"${{{key}:-}}" for key in passed_on}


def test_settings_that_nobody_set_keep_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    unset = Settings()
    for name in KNOWN - NOT_IN_CONTAINERS:
        monkeypatch.setenv(name, "")

    assert Settings() == unset


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_gets_a_login_of_its_own_and_no_broker(name: str) -> None:
    environment = read(DOCKER / "compose.yaml")["services"][name]["environment"]

    assert set(environment) == FOR_THE_API, "neither Redis nor Dagster's storage"
    login = "${REGIME_API_LOGIN:-regime:${POSTGRES_PASSWORD}}"
    for url, database in (("REGIME_DATABASE_URL", "regime"), ("REGIME_DAGSTER_DATABASE_URL", "regime_dagster")):
        assert environment[url] == f"postgresql://{login}@postgres:5432/{database}"


def test_workers_elsewhere_are_those_of_compose_at_another_address() -> None:
    here, away = read(DOCKER / "compose.yaml")["services"], read(DOCKER / "compose.worker.yaml")["services"]["worker"]
    ours = here["worker"]
    open_ports = read(DOCKER / "compose.network.yaml")["services"]

    for key in set(ours) - {"environment", "volumes", "depends_on", "image"}:
        assert away[key] == ours[key], key
    settings = set(ours["environment"]) - {
        "REGIME_SENSORS",
        "REGIME_HOOK_REQUEST_HOURS",
        "REGIME_API_CORS",
        "REGIME_UI_HOSTS",
    }  # the daemon's, the API's, the webserver's
    assert set(away["environment"]) == settings
    for name in settings:
        mine, theirs = (re.sub(r":\?[^}]*", "", side["environment"][name]) for side in (ours, away))
        for service, port in (("postgres", "REGIME_POSTGRES_PORT:-5432"), ("redis", "REGIME_REDIS_PORT:-6379")):
            theirs = theirs.replace(f"@${{REGIME_HOST}}:${{{port}}}", f"@{service}:{port[-4:]}")
            assert open_ports[service]["ports"][0].endswith(f"}}:${{{port}}}:{port[-4:]}")
        assert theirs == mine
    assert set(open_ports) == {"postgres", "redis"}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Roles as plain processes; nothing is started."""
    monkeypatch.syspath_prepend(str(DOCKER))
    local = importlib.import_module("local")
    return local.Place(
        tmp_path, "postgresql://regime@db.example/regime", "redis://redis.example", 3001, 4001, 8001, 8091
    )


@pytest.mark.parametrize("role", ROLES)
def test_plain_processes_run_the_commands_of_the_containers(place: Any, role: str) -> None:
    image = (DOCKER / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    of_the_image = json.loads(image.splitlines()[-1].removeprefix("CMD "))

    words = place.command(role)

    theirs = read(DOCKER / "compose.yaml")["services"][role].get("command", of_the_image)
    differing = {(str(old), new) for old, new in zip(theirs, words, strict=True) if str(old) != new}
    files = {(old, new) for old, new in differing if new == old.replace("/opt/dagster", str(place.dagster_home))}
    addresses = {("0.0.0.0", "127.0.0.1"), ("3000", "3001"), ("4000", "4001"), ("8000", "8001"), ("8090", "8091")}
    assert differing - files <= addresses


def test_plain_processes_keep_the_settings_of_their_environment(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_HOOK_URL", "http://127.0.0.1:9/hook")
    monkeypatch.delenv("REGIME_POLICY", raising=False)

    environment = place.environment()

    assert environment["REGIME_HOOK_URL"] == "http://127.0.0.1:9/hook"
    assert "REGIME_POLICY" not in environment
    assert not [value for name, value in environment.items() if name.startswith("REGIME_") and "${" in value]


def test_the_image_installs_extras_that_exist_and_runs_as_a_user() -> None:
    image = (DOCKER / "Dockerfile").read_text("utf-8")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]

    (extras, drivers) = re.findall(r'"\.\[([a-z,]+)\$EXTRAS\]" \$(\w+)$', image, re.MULTILINE)[0]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert f"ARG {drivers}=\n" in image
    assert f"--build-arg {drivers}=" in (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    assert image.index("USER regime") < image.index("CMD [")
    copied = {word for line in re.findall(r"^COPY (?!--)(.+)$", image, re.MULTILINE) for word in line.split()[:-1]}
    assert all((REPOSITORY / name).exists() for name in copied)


@pytest.mark.parametrize("name", ["DAGSTER_EVENT_BATCH_SIZE", *PATIENCE])
def test_every_way_to_deploy_sets_what_dagster_needs(name: str) -> None:
    value = {**BATCHING, **PATIENCE}[name]
    assert f"{name}={value}" in (DOCKER / "Dockerfile").read_text("utf-8")
    for file in ("values.yaml", "workers.yaml"):
        assert f'{{ name: {name}, value: "{value}" }}' in (DOCKER / "helm" / file).read_text("utf-8")


@pytest.mark.parametrize("role", ["daemon", "webserver"])
def test_who_asks_the_code_server_starts_once_it_answers(role: str) -> None:
    waits_for = read(DOCKER / "compose.yaml")["services"][role]["depends_on"]

    assert waits_for["code"] == {"condition": "service_healthy"}
    assert "schema" in waits_for


def test_the_workspace_points_at_the_code_server_of_compose() -> None:
    (entry,) = read(DOCKER / "workspace.yaml")["load_from"]

    assert entry["grpc_server"]["host"] in read(DOCKER / "compose.yaml")["services"]
    assert f'"-p", "{entry["grpc_server"]["port"]}"' in (DOCKER / "Dockerfile").read_text("utf-8")
