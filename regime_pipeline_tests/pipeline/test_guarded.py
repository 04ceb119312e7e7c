"""Tests of `pipeline.guarded`: the programs that replace Dagster's own, and the way to the open graph."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import dagster as dg
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.pipeline.guarded.daemon import is_news
from regime_pipeline.pipeline.guarded.dev import PROGRAMS
from regime_pipeline.pipeline.guarded.webserver import LINEAGE, lineage
from regime_pipeline.settings import Settings
from regime_pipeline_tests.conftest import REPOSITORY


def test_the_lineage_opens_with_every_group_of_the_chain(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    specs = definitions.resolve_all_asset_specs()
    client = TestClient(Starlette(routes=[Route(LINEAGE, lineage)]), follow_redirects=False)

    led = urlsplit(client.get(LINEAGE).headers["location"])

    assert len(specs) == 10, "eight of the chain, the site, and the source of candles"
    assert led.path == "/asset-groups"
    opened = parse_qs(led.query)["expanded"][0].split(",")
    assert sorted(opened) == sorted({f"global@global:{spec.group_name}" for spec in specs})


def test_every_asset_links_to_the_dashboard_and_names_its_page_of_the_documentation(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, markets=REPOSITORY / "markets.toml", dashboard_url="http://127.0.0.1:8090/")
    for spec in build_definitions(settings).resolve_all_asset_specs():
        assert spec.metadata["dashboard"] == dg.MetadataValue.url("http://127.0.0.1:8090/")
        assert (REPOSITORY / spec.metadata["documented_in"]).is_file()
    without = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    assert all("dashboard" not in spec.metadata for spec in without.resolve_all_asset_specs())


def test_a_range_of_partitions_may_be_asked_of_every_asset_at_once(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path, markets=REPOSITORY / "markets.toml"))
    graph = definitions.resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in graph.materializable_asset_keys}
    assert policies == {dg.BackfillPolicy.single_run()}, "Dagster's command line refuses the range otherwise"


def test_each_of_dagster_s_programs_and_its_replacement_is_there() -> None:
    assert all(find_spec(name) for pair in PROGRAMS.items() for name in pair)


def test_a_new_home_s_first_start_is_not_news() -> None:
    def says(text: str) -> bool:
        return is_news(logging.LogRecord("daemon", logging.WARNING, "", 0, text, None, None))

    assert not says("No cursor for event type DagsterEventType.RUN_FAILURE, ignoring older events")
    assert says("Run monitoring found a run that was lost")
