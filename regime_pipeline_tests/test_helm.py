"""The files of `docker/helm/`: keys that the official chart has, and the settings of `docker/` under its names."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._config import validate_config
from fastapi.routing import APIRoute
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from regime_pipeline.api import monitoring as health_routes
from regime_pipeline_tests.conftest import REPOSITORY
from regime_pipeline_tests.test_docker import DATABASES, DOCKER, FOR_THE_API, KNOWN, read

VALUES, RUN_PODS = (DOCKER / "helm" / name for name in ("values.yaml", "run-pods.yaml"))
WORKERS, API, UPGRADE = (DOCKER / "helm" / name for name in ("workers.yaml", "api.yaml", "upgrade.yaml"))
ROLE = {"enabled", "image", "env", "envSecrets", "volumes", "volumeMounts"}
CHART: dict[str, set[str]] = {
    "": {
        "concurrency", "dagster-user-deployments", "dagsterDaemon", "dagsterWebserver",
        "generateCeleryConfigSecret", "generatePostgresqlPasswordSecret", "global", "postgresql", "pythonLogs",
        "rabbitmq", "redis", "retention", "runLauncher", "telemetry",
    },
    "global": {"fullnameOverride", "postgresqlSecretName"},
    "dagster-user-deployments": {"enabled", "deployments"},
    "dagsterWebserver": ROLE | {"service", "readinessProbe"},
    "dagsterDaemon": ROLE | {"runCoordinator", "runMonitoring", "runRetries"},
    "runLauncher": {"type", "config"},
    "concurrency": {"enabled", "pools", "runs"},
    "postgresql": {
        "enabled", "postgresqlScheme", "postgresqlHost", "postgresqlUsername", "postgresqlDatabase", "service",
    },
    "pythonLogs": {"pythonLogLevel"},
    "retention": {"enabled", "schedule", "sensor"},
    "rabbitmq": {"enabled"},
    "redis": {"enabled"},
    "telemetry": {"enabled"},
}  # fmt: skip
"""Keys of the chart, by section, of those that we use; most sections of the chart refuse unknown ones."""
DEPLOYMENT = {
    "name", "image", "codeServerArgs", "port", "env", "envSecrets", "includeConfigInLaunchedRuns",
    "podSecurityContext", "volumes", "volumeMounts",
}  # fmt: skip


def environment(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in entries if "value" in entry}


def snake(tree: Any) -> Any:
    """A tree with the chart's names turned into those of dagster.yaml: maxRetries is max_retries."""
    if not isinstance(tree, dict):
        return [snake(item) for item in tree] if isinstance(tree, list) else tree
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(value) for key, value in tree.items()}


def test_the_values_use_keys_of_the_chart() -> None:
    values = read(VALUES)

    assert set(values) == CHART[""]
    for section, known in CHART.items():
        if section and isinstance(values[section], dict):
            assert set(values[section]) <= known, section
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert set(deployment) == DEPLOYMENT
    assert set(values["runLauncher"]["config"]) == {"customRunLauncher"}
    assert values["runLauncher"]["type"] == "CustomRunLauncher"


def test_the_instance_is_that_of_the_containers() -> None:
    values, instance = read(VALUES), read(DOCKER / "dagster.yaml")
    daemon = values["dagsterDaemon"]

    assert values["runLauncher"]["config"]["customRunLauncher"] == instance["run_launcher"]
    coordinator = daemon["runCoordinator"]
    assert coordinator["enabled"] is True
    assert coordinator["type"] == "CustomRunCoordinator"
    assert coordinator["config"]["customRunCoordinator"] == instance["run_coordinator"]
    assert snake(daemon["runMonitoring"]) == instance["run_monitoring"]
    assert snake(daemon["runRetries"]) == instance["run_retries"]
    assert snake(values["concurrency"]) == {"enabled": True, **instance["concurrency"]}
    assert snake(values["pythonLogs"]) == instance["python_logs"]
    assert snake(values["retention"]) == {"enabled": True, **instance["retention"]}
    assert values["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"  # a bare one means psycopg 3 by now


def test_the_chart_is_that_of_the_pinned_dagster() -> None:
    (pin,) = re.findall(r"^dagster==(.+)$", (REPOSITORY / "constraints.txt").read_text("utf-8"), re.MULTILINE)

    assert f"helm upgrade --install regime dagster/dagster --version {pin} " in VALUES.read_text("utf-8")


def test_the_webserver_listens_where_the_image_may_and_is_asked_there() -> None:
    webserver, compose = read(VALUES)["dagsterWebserver"], read(DOCKER / "compose.yaml")["services"]["webserver"]
    port, asked = webserver["service"]["port"], webserver["readinessProbe"]["httpGet"]

    assert port >= 1024, "the image has no root"
    assert str(port) == compose["command"][compose["command"].index("-p") + 1]
    assert asked["port"] == port
    assert f"127.0.0.1:{port}{asked['path']}'" in compose["healthcheck"]["test"][-1]


def test_whoever_mounts_the_volume_may_write_to_it() -> None:
    (user,) = re.findall(r"--uid (\d+)", (DOCKER / "Dockerfile").read_text("utf-8"))
    (deployment,) = read(VALUES)["dagster-user-deployments"]["deployments"]
    pods = [next(yaml.safe_load_all(path.read_text("utf-8"))) for path in (WORKERS, API)]
    run = read(RUN_PODS)["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]

    contexts = [deployment["podSecurityContext"], *(pod["spec"]["template"]["spec"]["securityContext"] for pod in pods)]
    assert [*contexts, run["securityContext"]] == [{"fsGroup": int(user)}] * 4


def test_workers_are_those_of_compose_with_the_volumes_of_the_code_server() -> None:
    values, workers = read(VALUES), read(WORKERS)
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    pod = workers["spec"]["template"]["spec"]
    (worker,) = pod["containers"]

    assert worker["command"] == read(DOCKER / "compose.yaml")["services"]["worker"]["command"]
    assert worker["image"] == f"{deployment['image']['repository']}:{deployment['image']['tag']}"
    assert environment(deployment["env"]).items() <= environment(worker["env"]).items()
    assert [s["secretRef"]["name"] for s in worker["envFrom"]] == [s["name"] for s in deployment["envSecrets"]]
    assert all(mount in worker["volumeMounts"] for mount in deployment["volumeMounts"])
    assert all(volume in pod["volumes"] for volume in deployment["volumes"])
    assert {m["name"] for m in worker["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    labels = workers["spec"]["template"]["metadata"]["labels"]
    assert workers["spec"]["selector"]["matchLabels"] == labels
    assert f"{values['global']['fullnameOverride']}-instance" in {
        v.get("configMap", {}).get("name") for v in pod["volumes"]
    }


def test_the_api_is_that_of_compose_behind_a_service() -> None:
    values, (api, service) = read(VALUES), yaml.safe_load_all(API.read_text("utf-8"))
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    pod = api["spec"]["template"]
    (container,) = pod["spec"]["containers"]

    assert container["command"] == read(DOCKER / "compose.yaml")["services"]["api"]["command"]
    assert container["image"] == f"{deployment['image']['repository']}:{deployment['image']['tag']}"
    assert container["envFrom"] == [{"secretRef": {"name": "regime-api"}}], "the chain's own knows Redis and the owner"
    assert container["volumeMounts"] == deployment["volumeMounts"]
    assert pod["spec"]["volumes"] == deployment["volumes"]
    assert api["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"] == service["spec"]["selector"]
    (port,), (listening,) = service["spec"]["ports"], container["ports"]
    assert (port["targetPort"], str(listening["containerPort"])) == (listening["name"], container["command"][-1])
    routes = {probe["httpGet"]["path"] for probe in (container["readinessProbe"], container["livenessProbe"])}
    served = [*health_routes.alive.routes, *health_routes.router.routes]
    assert routes <= {route.path for route in served if isinstance(route, APIRoute)}


def test_every_setting_has_a_place() -> None:
    """What holds no secret is in the files; the page says what goes into which Secret."""
    (deployment,) = read(VALUES)["dagster-user-deployments"]["deployments"]
    (container,) = next(yaml.safe_load_all(API.read_text("utf-8")))["spec"]["template"]["spec"]["containers"]
    here, served = (
        {name for name in environment(entries) if name in KNOWN} for entries in (deployment["env"], container["env"])
    )
    page = " ".join((REPOSITORY / "docs" / "deploy.md").read_text("utf-8").split())
    (into_both,) = re.findall(r"those that the API reads, (.+?), into `regime-api` too", page)
    (in_the_files,) = re.findall(r"In the files themselves stand (.+?)\. Further", page)

    assert here == {"REGIME_MARKETS", "REGIME_SENSORS", "REGIME_ALERTS"}
    assert served == {"REGIME_MARKETS", "REGIME_API_CORS"}
    assert set(re.findall(r"REGIME_\w+", in_the_files)) == here | served
    assert set(re.findall(r"REGIME_\w+", into_both)) == FOR_THE_API - DATABASES - served
    secrets = {"REGIME_ALERT_URL", "REGIME_HOOK_URL", "REGIME_HOOK_SECRET"}
    assert all(f"`{name}`" in page for name in secrets)
    assert not secrets & (here | served)


def merged(below: Any, above: Any) -> Any:
    """Values of two files as Helm lays one over the other: sections are merged, null removes, all else replaces."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    both = {key: merged(below.get(key), value) for key, value in above.items() if value is not None}
    return {**{key: value for key, value in below.items() if key not in above}, **both}


def test_a_pod_per_run_replaces_the_workers_alone() -> None:
    """Read by the launcher's own configuration, under the names that the chart's template gives the values."""
    dagster_k8s = pytest.importorskip("dagster_k8s", reason="the extra `kubernetes` is not installed")
    both = merged(read(VALUES), read(RUN_PODS))
    launcher = both["runLauncher"]["config"].pop("k8sRunLauncher")

    assert both["runLauncher"] == {"type": "K8sRunLauncher", "config": {}}
    assert {**both, "runLauncher": None} == {**read(VALUES), "runLauncher": None}
    (deployment,) = both["dagster-user-deployments"]["deployments"]
    assert deployment["includeConfigInLaunchedRuns"] == {"enabled": True}
    config = {
        "service_account_name": "regime", "instance_config_map": "i", "postgres_password_secret": "p",
        **{key: value for key, value in snake(launcher).items() if key != "run_k8s_config"},
        "run_k8s_config": {
            "pod_spec_config": snake(launcher["runK8sConfig"]["podSpecConfig"]),
            "job_spec_config": snake(launcher["runK8sConfig"]["jobSpecConfig"]),
        },
    }  # fmt: skip
    checked = validate_config(dagster_k8s.K8sRunLauncher.config_type(), config)
    assert checked.success, checked.errors


def chart() -> Path:
    """The official chart's folder."""
    folder = Path(os.environ.get("REGIME_TEST_CHART", ""))
    if not (folder / "values.schema.json").is_file():
        pytest.skip("REGIME_TEST_CHART names no folder with the chart's values.schema.json")
    return folder


def kubernetes_is_elsewhere(_: str) -> Resource[dict[str, Any]]:
    """The chart refers to Kubernetes' own definitions by web address; those are `kubernetes_validate`'s to check."""
    return Resource(contents={}, specification=DRAFT7)


@pytest.mark.parametrize("files", [(VALUES,), (VALUES, RUN_PODS)], ids=["workers", "pods"])
def test_the_values_fit_the_charts_own_schema(files: tuple[Path, ...]) -> None:
    folder = chart()
    values = read(folder / "values.yaml")
    for file in files:
        values = merged(values, read(file))
    schema = json.loads((folder / "values.schema.json").read_text("utf-8"))
    shallow = json.loads(re.sub(r'"https://kubernetes[^"#]+#[^"]+"', '"urn:kubernetes"', json.dumps(schema)))
    registry: Registry[Any] = Registry(retrieve=kubernetes_is_elsewhere)

    faults = [fault.message for fault in Draft7Validator(shallow, registry=registry).iter_errors(values)]

    assert faults == []


@pytest.mark.parametrize("path", [WORKERS, API, UPGRADE], ids=lambda path: str(path.stem))
def test_the_manifests_fit_kubernetes_own_schema(path: Path) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for manifest in yaml.safe_load_all(path.read_text("utf-8")):
        validator.validate(manifest, "1.30", strict=True)


def test_the_launcher_can_be_imported() -> None:
    launcher = read(VALUES)["runLauncher"]["config"]["customRunLauncher"]
    module = __import__(launcher["module"], fromlist=[launcher["class"]])

    assert launcher["config"].keys() <= getattr(module, launcher["class"]).config_type().keys()
