"""`regime_pipeline.RegimeChain` in somebody else's project: scaffolded, loaded, materialized; the page's file too."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from regime_pipeline import RegimeChain
from regime_pipeline.bootstrap import build_definitions
from regime_pipeline.component import ListedMarket
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.market_data.window import Window, to_ms
from regime_pipeline.pipeline.build import CHAIN_JOB
from regime_pipeline.pipeline.partitions import range_tags
from regime_pipeline.services.universe import _Entry, load_universe, universe_of
from regime_pipeline.settings import Settings
from regime_pipeline.storage.admin import migrate
from regime_pipeline.storage.warehouse import Warehouse
from regime_pipeline_tests.conftest import REPOSITORY

# Dagster's loader of components calls what pydantic has deprecated
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")

PAGE = (REPOSITORY / "docs" / "dagster-component.md").read_text("utf-8")
(WRITTEN,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
(DOWNSTREAM,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
FILE = """
[partitions]
start = 2026-10-01T00:00:00Z

[[markets]]
symbol = "ETH-USDT"
timeframes = ["15m", "1h"]
source = "simulated"
"""


def defs_yaml(**attributes: Any) -> dict[str, Any]:
    return {"type": "regime_pipeline.RegimeChain", "attributes": attributes}


@contextmanager
def project(contents: dict[str, Any] | str | None = None, **files: str) -> Iterator[tuple[DefsFolderSandbox, Path]]:
    """A project whose only component is the chain, and files beside its `defs.yaml`."""
    with create_defs_folder_sandbox() as sandbox:
        folder = sandbox.scaffold_component(RegimeChain, "my_regimes")
        if contents is not None:
            text = contents if isinstance(contents, str) else yaml.safe_dump(contents)
            (folder / "defs.yaml").write_text(text, "utf-8")
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text, "utf-8")
        yield sandbox, folder


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"REGIME_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_scaffolded_component_loads_as_it_is() -> None:
    with project() as (sandbox, folder), sandbox.build_all_defs() as definitions:
        written = yaml.safe_load((folder / "defs.yaml").read_text("utf-8"))
        found = keys(definitions)

    assert written["attributes"]["markets"] == [{"symbol": "ALFA-USDT", "timeframes": ["1h"], "source": "simulated"}]
    assert {"raw_candles", "regime_verdicts", "dashboard_site", "candle_source/simulated"} <= found


def test_the_lineage_is_ours_and_the_teams(tmp_path: Path) -> None:
    (tmp_path / "markets.toml").write_text(FILE, "utf-8")
    ours = build_definitions(Settings(home=tmp_path / "home", markets=tmp_path / "markets.toml"))

    with project(defs_yaml(markets="markets.toml"), markets__toml=FILE) as (sandbox, folder):
        (folder.parent / "report.py").write_text(DOWNSTREAM, "utf-8")
        with sandbox.build_all_defs() as definitions:
            graph = definitions.resolve_asset_graph()
            jobs = {job.name for job in definitions.resolve_all_job_defs()}

    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == keys(ours) | {"hours_to_trade"}
    assert graph.get(dg.AssetKey("hours_to_trade")).parent_keys == {dg.AssetKey("regime_verdicts")}
    assert definitions.executor is None, "how the team's own assets run is not ours to say"
    assert {CHAIN_JOB, "site"} <= jobs


def test_the_file_and_the_list_give_the_same_partitions() -> None:
    listed = {"symbol": "ETH-USDT", "timeframes": ["15m", "1h"], "source": "simulated"}
    partitions = []
    for contents in (
        defs_yaml(markets="markets.toml"),
        defs_yaml(markets=[listed], start="2026-10-01T00:00:00Z"),
    ):
        with project(contents, markets__toml=FILE) as (sandbox, _), sandbox.build_all_defs() as definitions:
            partitions.append(definitions.get_assets_def("regime_verdicts").partitions_def)

    assert partitions[0] == partitions[1]
    assert partitions[0] is not None
    assert partitions[0].get_first_partition_key() == "2026-10-01-00:00|ETH-USDT_15m"


def test_a_listed_market_has_every_key_of_a_markets_file() -> None:
    """But for the demo's own: the page says that entries are as in the file."""
    text = FILE + 'absent_bars = "no_trade"\nuntil = 2026-11-01T00:00:00Z\nprice_scale = 1000\n'
    entry = {"symbol": "ETH-USDT", "timeframes": ["15m", "1h"], "source": "simulated", "absent_bars": "no_trade"}
    listed = ListedMarket(**entry, until="2026-11-01T00:00:00Z", price_scale=1_000)
    Path("markets.toml").write_text(text, "utf-8")

    assert universe_of([listed.model_dump()], "2026-10-01T00:00:00Z") == load_universe(Path("markets.toml"))
    assert set(ListedMarket.model_fields) == set(_Entry.model_fields) - {"simulated_from"}


def test_days_are_a_field() -> None:
    contents = defs_yaml(markets="markets.toml", grain="day", start="2026-10-02T00:00:00Z", end="2026-10-05T00:00:00Z")
    with project(contents, markets__toml=FILE) as (sandbox, _), sandbox.build_all_defs() as definitions:
        partitions = definitions.get_assets_def("scores").partitions_def

    assert partitions is not None
    assert partitions.get_partition_keys() == [
        f"2026-10-0{day}|{market}" for day in (2, 3, 4) for market in ("ETH-USDT_15m", "ETH-USDT_1h")
    ]


@pytest.mark.parametrize("are_on", [True, False])
def test_sensors_are_a_field(are_on: bool) -> None:
    contents = defs_yaml(markets="markets.toml", sensors=are_on)
    with project(contents, markets__toml=FILE) as (sandbox, _), sandbox.build_all_defs() as definitions:
        statuses = {sensor.default_status for sensor in definitions.sensors or ()}

    assert statuses == {dg.DefaultSensorStatus.RUNNING if are_on else dg.DefaultSensorStatus.STOPPED}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"markets": [{"symbol": "ETH-USDT", "timeframes": ["1h"], "source": "simulated"}]}, "needs `start`"),
        ({"markets": "elsewhere.toml"}, "no markets file at .*my_regimes/elsewhere.toml"),
        ({"markets": "markets.toml", "start": "2026-10-01T00:00:00"}, "REGIME_PARTITION_START"),
        (
            {
                "markets": [{"symbol": "ETH-USDT", "timeframes": ["1h"], "source": "exchange"}],
                "start": "2026-10-01T00:00:00Z",
            },
            "The component's list is not a list of markets: market ETH-USDT.*exchange",
        ),
    ],
)
def test_a_mistake_is_said_in_a_sentence(attributes: dict[str, Any], words: str) -> None:
    with (
        project(defs_yaml(**attributes), markets__toml=FILE) as (sandbox, _),
        pytest.raises(Exception, match=r"defs\.yaml|my_regimes") as raised,
        sandbox.build_all_defs(),
    ):
        pass

    causes = []
    error: BaseException | None = raised.value
    while error is not None:
        causes.append(error)
        error = error.__cause__
    assert any(isinstance(cause, UsageError) and re.search(words, str(cause)) for cause in causes)


@pytest.mark.postgres
def test_partitions_run_through_it_and_the_rows_are_there(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own file, and its asset downstream, in one run."""
    migrate.upgrade(database_url)
    monkeypatch.setenv("REGIME_DATABASE_URL", database_url)
    start = to_ms("2026-09-01T00:00:00Z")
    market, window = Market("ETH-USDT", "1h"), Window(start, start + 3 * HOUR_MS)

    with project(WRITTEN) as (sandbox, folder):
        (folder.parent / "report.py").write_text(DOWNSTREAM, "utf-8")
        with sandbox.build_all_defs() as definitions, dg.DagsterInstance.ephemeral() as instance:
            job = definitions.resolve_job_def(CHAIN_JOB)
            result = job.execute_in_process(instance=instance, tags=dict(range_tags(market, market, window)))
            report = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey("hours_to_trade")]
            )
        with Warehouse(database_url) as warehouse:
            rows = warehouse.read_range("regime_verdicts", market, window)
        assert len(list((sandbox.project_root / ".regime" / "snapshots").rglob("ETH-USDT_1h.json"))) == 3

    assert result.success
    assert len(result.asset_materializations_for_node("regime_verdicts")) == 3
    assert len(rows["hour_start"]) == 3
    (made,) = report.asset_materializations_for_node("hours_to_trade")
    assert made.metadata["hours"].value == 0


@pytest.mark.slow
def test_dg_knows_the_component_and_scaffolds_it(tmp_path: Path) -> None:
    (source := tmp_path / "src" / "team" / "defs").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "team"\nversion = "1"\n'
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "team"\n'
    )
    (source.parent / "__init__.py").touch()

    done = subprocess.run(
        [Path(sys.executable).with_name("dg"), "scaffold", "defs", "regime_pipeline.RegimeChain", "my_regimes"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "src"), "PATH": str(Path(sys.executable).parent), "HOME": "/"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "type: regime_pipeline.RegimeChain" in (source / "my_regimes" / "defs.yaml").read_text("utf-8")
