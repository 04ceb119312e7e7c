"""The dashboard of verdicts: every query runs as the viewer, on rows that the chain wrote, and shows what is stored.

No Grafana runs here; see `grafana` for what is done to a query in its place.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from regime_pipeline.domain.candle_regimes.states import COLORS
from regime_pipeline.domain.market_data.market import HOUR_MS, Market
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.services.grids import proposed_fields, update_grid
from regime_pipeline.services.queries.overview import overview
from regime_pipeline.storage.admin.roles import KINDS, apply_roles
from regime_pipeline_tests.conftest import REPOSITORY, fresh_database
from regime_pipeline_tests.factories import hours_from_start, run_stages, simulated_workspace
from regime_pipeline_tests.grafana import Screen

pytestmark = pytest.mark.postgres

FOLDER = REPOSITORY / "docker" / "grafana"
BOARD = json.loads((FOLDER / "verdicts.json").read_text("utf-8"))
PANELS = {panel["id"]: panel for panel in BOARD["panels"]}
PERIODS = {each["name"]: each for each in BOARD["annotations"]["list"]}
VARIABLES = {each["name"]: each for each in BOARD["templating"]["list"]}
ETH, BTC, SOL = Market("ETH-USDT", "1h"), Market("BTC-USDT", "15m"), Market("SOL-USDT", "1h")
MARKETS = (BTC, ETH, SOL)
WINDOW = hours_from_start(0, 420)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


LAST_WEEK = Screen(
    moment(WINDOW.end_ms) - timedelta(days=7),
    moment(WINDOW.end_ms),
    variables={
        "symbol": "BTC-USDT",
        "timeframe": "15m",
        "markets": [f"{market.symbol} {market.timeframe}" for market in MARKETS],
    },
)


@dataclass(frozen=True)
class Viewed:
    """A workspace whose chain has run, and what the viewer's account reads in it."""

    ws: Workspace
    connection: psycopg.Connection[dict[str, Any]]

    def rows(self, sql: str, screen: Screen = LAST_WEEK) -> list[dict[str, Any]]:
        return self.connection.execute(screen.expand(sql).encode()).fetchall()

    def panel(self, number: int, screen: Screen = LAST_WEEK) -> list[dict[str, Any]]:
        (target,) = PANELS[number]["targets"]
        return self.rows(target["rawSql"], screen)


@pytest.fixture(scope="module")
def viewed(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """Three markets: the price has left the grid of one, another's grid is as it should be, the third has none."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    with (
        fresh_database(postgres_url) as url,
        simulated_workspace(url, tmp_path_factory.mktemp("grafana"), MARKETS, clock=lambda: WINDOW.end_ms) as ws,
    ):
        early = replace(ws, clock=lambda: WINDOW.start_ms + 400 * HOUR_MS)
        for market in MARKETS:
            run_stages(ws, market, [hours_from_start(0, 400)])
        for symbol, shift in ((ETH.symbol, 3), (BTC.symbol, 1)):
            fields = proposed_fields(ws, symbol)
            edges = {name: shift * fields[name] for name in ("lower", "upper", "limit_lower", "limit_upper")}
            update_grid(early, symbol, fields | edges | {"enabled": True}, expected_version=0, who="ann", why="first")
        for market in MARKETS:
            run_stages(ws, market, [hours_from_start(400, 420)])
        apply_roles(url, prefix)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            connection.execute(f"SET ROLE {prefix}_viewer".encode())
            yield Viewed(ws, connection)
            connection.execute("RESET ROLE")
            for kind in KINDS:
                connection.execute(f"DROP OWNED BY {prefix}_{kind}".encode())
                connection.execute(f"DROP ROLE {prefix}_{kind}".encode())


def stored(ws: Workspace, market: Market, screen: Screen = LAST_WEEK) -> list[dict[str, Any]]:
    """Rows of the dashboard's table that were known within the time range, with the time that is shown."""
    hours = ws.warehouse.read_range("dashboard_hours", market, WINDOW)
    rows = [dict(zip(hours, values, strict=True)) for values in zip(*(c.tolist() for c in hours.values()), strict=True)]
    for row in rows:
        row["known_at"] = moment(row["hour_start"] + HOUR_MS)
        row["verdict"] = VERDICTS[row["verdict"]]
    return [row for row in rows if screen.start <= row["known_at"] <= screen.end]


def plain(value: Any) -> Any:
    """NULL for a number that is not there."""
    return None if value != value else value


@pytest.mark.parametrize("number", [n for n, panel in PANELS.items() if panel["targets"][0]["format"] == "time_series"])
def test_a_series_has_a_time_in_order_and_numbers(viewed: Viewed, number: int) -> None:
    rows = viewed.panel(number)

    assert len(rows) > 100
    times = [row.pop("time") for row in rows]
    names = [row.pop("metric", "") for row in rows]
    assert all(isinstance(time, datetime) and time.tzinfo for time in times)
    assert sorted(zip(times, names, strict=True)) == list(zip(times, names, strict=True))
    assert len(set(zip(times, names, strict=True))) == len(times)
    assert {type(value) for row in rows for value in row.values()} <= {float, int, type(None)}
    assert all(any(row[name] is not None for row in rows) for name in rows[0]), "every line has points"


def test_the_timeline_shows_each_stored_verdict_by_its_name(viewed: Viewed) -> None:
    rows = viewed.panel(2)
    (mapping,) = PANELS[2]["fieldConfig"]["defaults"]["mappings"]
    names = {int(code): each["text"] for code, each in mapping["options"].items()}

    shown = {(row["metric"], row["time"]): names[row["value"]] for row in rows}

    assert shown == {
        (f"{market.symbol} {market.timeframe}", row["known_at"]): row["verdict"]
        for market in MARKETS
        for row in stored(viewed.ws, market)
    }
    assert {"TREND", "TRANSITION", "RANGE_WEAK"} <= set(shown.values())
    assert tuple(names.values()) == VERDICTS


def test_the_timeline_holds_only_the_chosen_markets(viewed: Viewed) -> None:
    chosen = replace(LAST_WEEK, variables={**(LAST_WEEK.variables or {}), "markets": ["SOL-USDT 1h"]})

    assert {row["metric"] for row in viewed.panel(2, chosen)} == {"SOL-USDT 1h"}


@pytest.mark.parametrize(
    ("number", "columns"),
    [
        (3, ("close", "range_low", "range_high")),
        (4, ("hold_24h", "hold_72h")),
        (6, ("trend_score", "mean_rev_score", "vol_change_score", "range_quality_score", "grid_capacity_score")),
    ],
)
def test_lines_are_the_stored_numbers_at_the_time_they_were_known(
    viewed: Viewed, number: int, columns: tuple[str, ...]
) -> None:
    expected = [
        {"time": row["known_at"], **{name: plain(row[name]) for name in columns}} for row in stored(viewed.ws, BTC)
    ]

    assert viewed.panel(number) == expected
    assert len(expected) == 169


def test_weights_add_up_to_one_where_there_is_a_verdict(viewed: Viewed) -> None:
    for row in viewed.panel(5):
        weights = [value for name, value in row.items() if name.startswith("weight_")]
        assert len(weights) == 4
        assert sum(weights) == pytest.approx(1, abs=1e-9)
        assert 0 <= row["confidence"] <= 1


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_a_wide_range_keeps_the_newest_row_of_each_bucket(viewed: Viewed, number: int) -> None:
    every = viewed.panel(number)

    thinned = viewed.panel(number, replace(LAST_WEEK, interval="6h"))

    newest = {int(row["time"].timestamp()) // 21_600: row for row in every}
    assert thinned == list(newest.values())
    assert len(thinned) == 29


def test_what_needs_attention_is_what_the_overview_says(viewed: Viewed) -> None:
    """The view of the database has no list of markets, so it cannot know which hour should be there by now."""
    same = ("attention", "symbol", "timeframe", "verdict", "confidence", "hold_24h", "hold_72h", "range_low")
    names = (*same, "range_high", "range_position", "action", "gate_state")

    rows = viewed.panel(1)

    expected = overview(viewed.ws)
    assert next(row["attention"] for row in rows) == "OUTSIDE"
    for row, other in zip(rows, expected, strict=True):
        has_grid = other["grid"] != "none"
        assert {name: row[name] for name in names if has_grid or name not in ("action", "gate_state")} == {
            name: plain(other[name]) if name != "gate_state" else "NONE"
            for name in names
            if has_grid or name not in ("action", "gate_state")
        }
        since = datetime.fromisoformat(other["since"])
        assert row["since"] == (since if since > LAST_WEEK.start else None)
        assert row["known_at"] == LAST_WEEK.end
        assert row["reason"]


def test_a_market_whose_hours_stopped_is_late(viewed: Viewed) -> None:
    later = replace(LAST_WEEK, end=LAST_WEEK.end + timedelta(hours=5))
    (now,) = viewed.rows("SELECT now()")

    attention = {row["symbol"]: row["attention"] for row in viewed.panel(1, later)}

    is_late = min(now["now"], later.end) - timedelta(hours=2) > LAST_WEEK.end
    assert attention["ETH-USDT"] == "OUTSIDE"
    assert attention["SOL-USDT"] == ("LATE" if is_late else "")


def test_the_past_shows_what_needed_attention_then(viewed: Viewed) -> None:
    before = replace(LAST_WEEK, end=LAST_WEEK.end - timedelta(hours=30))

    assert {row["attention"] for row in viewed.panel(1, before)} == {""}, "before there were grids"


def test_hour_by_hour_begins_with_the_newest_and_says_why(viewed: Viewed) -> None:
    rows = viewed.panel(7)

    expected = stored(viewed.ws, BTC)[::-1]
    assert [(row["known_at"], row["verdict"], row["reason"]) for row in rows] == [
        (row["known_at"], row["verdict"], row["reason"]) for row in expected
    ]


def test_regions_are_the_periods_that_overlap_the_time_range(viewed: Viewed) -> None:
    shown = {
        (row["tags"], row["time"], row["timeend"], row["text"])
        for each in PERIODS.values()
        for row in viewed.rows(each["target"]["rawSql"])
    }

    periods = viewed.rows(
        "SELECT * FROM market_periods WHERE symbol = ${symbol:sqlstring} AND timeframe = ${timeframe:sqlstring}"
    )
    assert shown == {
        (p["simplified_regime"], p["start_time"], p["end_time"],
         f"{p['candles']} candle{'s' * (p['candles'] > 1)}, confidence {p['confidence_avg']:.2f}")
        for p in periods
        if p["start_time"] <= LAST_WEEK.end and p["end_time"] >= LAST_WEEK.start
    }  # fmt: skip
    assert all(start < end for _, start, end, _ in shown)
    assert any(start < LAST_WEEK.start for _, start, _, _ in shown), "one began earlier and reaches into the range"
    assert len(shown) < len(periods)


def test_variables_offer_the_stored_markets(viewed: Viewed) -> None:
    offered = {
        name: [next(iter(row.values())) for row in viewed.rows(each["query"])]
        for name, each in VARIABLES.items()
        if each["type"] == "query"
    }

    assert offered == {
        "symbol": ["BTC-USDT", "ETH-USDT", "SOL-USDT"],
        "timeframe": ["15m"],
        "markets": ["BTC-USDT 15m", "ETH-USDT 1h", "SOL-USDT 1h"],
    }


def test_the_viewer_sees_no_table(viewed: Viewed) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        viewed.rows("SELECT * FROM grid_config")


def test_settings_of_a_panel_name_columns_that_its_query_has(viewed: Viewed) -> None:
    for number, panel in PANELS.items():
        columns = set(viewed.panel(number)[0])
        overrides = panel["fieldConfig"]["overrides"]
        named = {each["matcher"]["options"] for each in overrides}
        assert named <= columns, panel["title"]
        names = {p["value"] for each in overrides for p in each["properties"] if p["id"] == "displayName"}
        below = {p["value"] for each in overrides for p in each["properties"] if p["id"] == "custom.fillBelowTo"}
        assert below <= names
        links = [
            link["url"] for each in overrides for p in each["properties"] if p["id"] == "links" for link in p["value"]
        ]
        for url in links:
            assert set(re.findall(r"__data\.fields\.(\w+)", url)) <= columns
            assert set(re.findall(r"var-(\w+)=", url)) <= set(VARIABLES)
            assert BOARD["uid"] in url


def test_names_and_colours_are_those_of_the_project() -> None:
    css = (REPOSITORY / "regime_pipeline" / "dashboard" / "static" / "dark.css").read_text("utf-8")
    dark = dict(re.findall(r"--([A-Z_]+): (#[0-9a-f]{6});", css))
    (mapping,) = PANELS[2]["fieldConfig"]["defaults"]["mappings"]

    assert {each["text"]: each["color"] for each in mapping["options"].values()} == {
        name: dark[name] for name in VERDICTS
    }
    assert {name: each["iconColor"] for name, each in PERIODS.items()} == dict(COLORS)
    assert all(each["filter"]["ids"] == [3] for each in PERIODS.values())
    assert len(PANELS) == len(BOARD["panels"])


def test_grafana_finds_both_dashboards_and_the_databases_they_ask() -> None:
    (provider,) = read(FOLDER / "provisioning" / "dashboards" / "regimes.yaml")["providers"]
    sources = read(FOLDER / "provisioning" / "datasources" / "regimes.yaml")["datasources"]
    service = read(REPOSITORY / "docker" / "compose.yaml")["services"]["grafana"]
    boards = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]

    assert [board["uid"] for board in boards] == ["regime-pipeline", "regime-verdicts"]
    asked = {each["query"] for board in boards for each in board["templating"]["list"] if each["type"] == "datasource"}
    assert asked == {source["type"] for source in sources}
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert mounts["./grafana"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == service["environment"]["GF_PATHS_PROVISIONING"]
    needed = set(
        re.findall(r"\$\{(\w+)\}", (FOLDER / "provisioning" / "datasources" / "regimes.yaml").read_text("utf-8"))
    )
    assert needed <= set(service["environment"])
    assert service["profiles"] == ["grafana"], "nobody gets it unasked"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_macros_are_expanded_as_grafana_does() -> None:
    screen = Screen(moment(0), moment(3_600_000), "6h", {"a": "it's", "b": ["x", "y"]})

    assert screen.expand("${a:sqlstring} ${b:sqlstring} $__timeFrom()") == "'it''s' 'x','y' '1970-01-01T00:00:00Z'"
    assert screen.expand("$__timeFilter(t)") == "t BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-01T01:00:00Z'"
    assert screen.expand("$__timeGroup(t, $__interval), x") == 'floor(extract(epoch from t)/21600)*21600 AS "time", x'
    assert screen.expand("($__timeGroup(t,'5m'))") == "(floor(extract(epoch from t)/300)*300)"
    with pytest.raises(ValueError, match="unknown macro '__timeBucket'"):
        screen.expand("$__timeBucket(t)")
