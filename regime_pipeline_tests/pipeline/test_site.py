"""Tests of the asset `dashboard_site`, its check and its sensor, as Dagster runs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.pipeline.build import CHAIN_JOB, SITE_JOB, build_pipeline
from regime_pipeline.pipeline.instance import materialize_site
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.pipeline.sensors import build_site_sensor
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.universe import Universe
from regime_pipeline_tests.factories import START, hours_from_start, simulated_workspace

MARKET = Market("ALFA-USDT", "1h")
NUMBERS = {"markets", "parts_made", "files_written", "site_bytes"}
"""What the UI plots; a name that changes loses its history."""


@pytest.fixture
def definitions(database_url: str, tmp_path: Path) -> Iterator[dg.Definitions]:
    with simulated_workspace(database_url, tmp_path / "snapshots", [MARKET]) as workspace:

        @contextmanager
        def open_workspace() -> Iterator[Workspace]:
            yield workspace

        universe = Universe(workspace.universe.specs, START, START + 48 * HOUR_MS)
        yield build_pipeline(universe, open_workspace, site=tmp_path / "site")


def run_chain(definitions: dg.Definitions, instance: dg.DagsterInstance, hours: int) -> None:
    result = definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
        instance=instance, tags=dict(range_tags(MARKET, MARKET, hours_from_start(0, hours)))
    )
    assert result.success


def numbers(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("dashboard_site")
    assert event.partition is None
    assert set(event.metadata) >= NUMBERS
    return {name: event.metadata[name].value for name in NUMBERS} | {"page": event.metadata["page"].value}


def test_the_site_follows_the_chain(definitions: dg.Definitions, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_chain(definitions, instance, 3)
        first = materialize_site(definitions, instance)
        again = materialize_site(definitions, instance)

    assert (first.success, again.success) == (True, True)
    told = numbers(first)
    assert (told["markets"], told["parts_made"], told["files_written"]) == (1, 2, 10)
    assert Path(str(told["page"])) == tmp_path / "site/index.html"
    assert (numbers(again)["parts_made"], numbers(again)["site_bytes"]) == (0, told["site_bytes"])
    (check,) = first.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("links_lead_somewhere", True)


def test_a_link_that_leads_nowhere_fails_the_check(definitions: dg.Definitions, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_chain(definitions, instance, 1)
        materialize_site(definitions, instance)
        (tmp_path / "site/other.html").write_text('<a href="gone.html">', "utf-8")
        (check,) = materialize_site(definitions, instance).get_asset_check_evaluations()

    assert (check.passed, check.metadata["offending"].value) == (False, 1)


def test_the_site_is_whole_without_partitions_and_stands_behind_the_chain(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    site = graph.get(dg.AssetKey("dashboard_site"))

    assert site.partitions_def is None
    assert {key.to_user_string() for key in site.parent_keys} == {
        "raw_candles",
        "features",
        "scores",
        "regime_verdicts",
        "grid_advice",
        "dashboard_hours",
    }
    assert site.group_name == "output"
    chain = definitions.resolve_job_def(CHAIN_JOB)
    assert "dashboard_site" not in chain.graph.node_dict


def test_the_sensor_asks_once_for_what_was_written(definitions: dg.Definitions) -> None:
    sensor = build_site_sensor(SITE_JOB)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None) -> dg.SensorExecutionData:
            return sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))

        nothing = tick(None)
        assert (nothing.run_requests, nothing.skip_message) == (
            [],
            "Nothing was written since the dashboard was made.",
        )
        run_chain(definitions, instance, 1)
        found = tick(nothing.cursor)
        assert [request.tags["dagster/priority"] for request in found.run_requests or []] == ["2"]
        assert tick(found.cursor).run_requests == []

        run_chain(definitions, instance, 2)
        waiting = dg.DagsterRun(job_name=SITE_JOB, run_id="waiting")
        instance.add_run(waiting)
        held = tick(found.cursor)
        assert (held.run_requests, held.skip_message) == ([], "The dashboard is being made.")
        assert held.cursor == found.cursor
