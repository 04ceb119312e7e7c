"""Tests of `services.markets_file`."""

from pathlib import Path

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.market_data.window import to_ms
from regime_pipeline.services.universe import MarketSpec, ensure_market, load_universe, universe_of

SPAN = "[partitions]\nstart = 2020-02-01T00:00:00Z\n"
BTC = '[[markets]]\nsymbol = "BTCUSDT"\ntimeframes = ["1m", "1h"]\nsource = "files"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "markets.toml"
    path.write_text(text, "utf-8")
    return path


def test_markets_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        SPAN + '[[markets]]\nsymbol = "ZEC-USDT"\ntimeframes = ["1h"]\nsource = "simulated"\nprice_scale = 10\n' + BTC
    )

    universe = load_universe(written(tmp_path, text))

    assert [str(m) for m in universe.markets] == ["ZEC-USDT_1h", "BTC-USDT_1m", "BTC-USDT_1h"]
    assert universe.spec(Market("ZEC-USDT", "1h")) == MarketSpec(Market("ZEC-USDT", "1h"), "simulated", 10)
    assert (universe.start_ms, universe.end_ms) == (to_ms("2020-02-01T00:00:00Z"), None)


def test_settings_override_the_span(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    path = written(tmp_path, SPAN + BTC)

    universe = load_universe(path, datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 4, 1, tzinfo=UTC))

    assert universe.start_ms == to_ms("2020-03-01T00:00:00Z")
    assert universe.end_ms == to_ms("2020-04-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("partitions = 3", "partitions"),
        ("not toml", "not a markets file"),
        ("[partitions]\nstart = 2020-02-01T00:00:00\n", "timezone"),
        ("[partitions]\nstart = 2020-02-01T00:30:00Z\n", "full UTC hour"),
        ("[partitions]\nstart = 2020-02-01T00:00:00Z\nend = 2020-02-01T00:00:00Z\n", "not after their start"),
        (SPAN + BTC + BTC, "more than once"),
        (SPAN + BTC.replace('["1m", "1h"]', '["6h"]'), "timeframes"),
        (SPAN + BTC.replace("files", "nowhere"), "source"),
        (SPAN + BTC.replace('["1m", "1h"]', '["1h"]').replace("files", "resampled"), "cannot be resampled"),
        (SPAN + BTC + 'colour = "red"\n', "colour"),
    ],
)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(UsageError, match=says) as raised:
        load_universe(path)

    assert str(path) in str(raised.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="REGIME_MARKETS"):
        load_universe(tmp_path / "none.toml")


def test_an_unlisted_market_names_the_listed_ones(tmp_path: Path) -> None:
    universe = load_universe(written(tmp_path, SPAN + BTC))

    with pytest.raises(UsageError, match="BTC-USDT_1m, BTC-USDT_1h"):
        universe.spec(Market("ETH-USDT", "1h"))


def test_ensure_market_creates_the_file_with_the_span_of_the_candles(tmp_path: Path) -> None:
    path = tmp_path / "home" / "markets.toml"
    spec = MarketSpec(Market("BTC-USDT", "1m"), "files", 100)
    span = (to_ms("2020-02-01T00:17:00Z"), to_ms("2020-02-03T04:01:00Z"))

    assert ensure_market(path, spec, span)

    universe = load_universe(path)
    assert universe.specs == (spec,)
    assert universe.start_ms == to_ms("2020-02-01T00:00:00Z")
    assert universe.end_ms == to_ms("2020-02-03T05:00:00Z")


def test_ensure_market_appends_once_and_keeps_what_the_user_wrote(tmp_path: Path) -> None:
    path = written(tmp_path, "# mine\n" + SPAN + BTC)
    spec = MarketSpec(Market("ETH-USDT", "1m"), "files", 1000)

    assert ensure_market(path, spec, (0, 0))
    assert not ensure_market(path, spec, (0, 0))

    assert path.read_text("utf-8").startswith("# mine\n")
    assert load_universe(path).specs[-1] == spec


def test_ensure_market_refuses_another_source(tmp_path: Path) -> None:
    path = written(tmp_path, SPAN + BTC.replace("files", "simulated"))
    before = path.read_bytes()

    with pytest.raises(UsageError, match="REGIME_HOME"):
        ensure_market(path, MarketSpec(Market("BTC-USDT", "1m"), "files", 100), (0, 0))

    assert path.read_bytes() == before


def test_an_exchange_is_named_exactly_where_the_source_is_one(tmp_path: Path) -> None:
    entry = '[[markets]]\nsymbol = "ETH-USDT"\ntimeframes = ["1h"]\nsource = "{}"\nexchange = "{}"\n'

    spec = load_universe(written(tmp_path, SPAN + entry.format("exchange", "kraken"))).specs[0]

    assert (spec.source, spec.exchange) == ("exchange", "kraken")
    assert spec.config_hash != MarketSpec(spec.market, "exchange", 100, "binance").config_hash
    for source, exchange in (("exchange", ""), ("archive", ""), ("files", "kraken")):
        with pytest.raises(UsageError, match="go together"):
            load_universe(written(tmp_path, SPAN + entry.format(source, exchange)))
    with pytest.raises(UsageError, match="exchange"):
        load_universe(written(tmp_path, SPAN + entry.format("exchange", "../x")))


def test_a_market_may_declare_that_absent_bars_are_time_without_a_trade(tmp_path: Path) -> None:
    entry = '[[markets]]\nsymbol = "ETH-USDT"\ntimeframes = ["{}"]\nsource = "{}"\n'
    quiet, resampled = 'absent_bars = "no_trade"\n', entry.format("15m", "resampled")
    minutes = entry.format("1m", "files")

    universe = load_universe(written(tmp_path, SPAN + minutes + quiet + resampled))
    plain = load_universe(written(tmp_path, SPAN + minutes + resampled))

    assert [universe.origin(market).absent_bars for market in universe.markets] == ["no_trade", "no_trade"]
    assert [plain.origin(market).absent_bars for market in plain.markets] == ["gap", "gap"]
    assert universe.specs[0].config_hash != plain.specs[0].config_hash, "it gets other candles"
    with pytest.raises(UsageError, match="of a resampled market is that of its 1m market: write it there"):
        load_universe(written(tmp_path, SPAN + minutes + resampled + quiet))
    with pytest.raises(UsageError, match="absent_bars"):
        load_universe(written(tmp_path, SPAN + minutes + 'absent_bars = "maybe"'))


def test_a_market_may_have_an_end(tmp_path: Path) -> None:
    entry = '[[markets]]\nsymbol = "ETH-USDT"\ntimeframes = ["1h"]\nsource = "archive"\nexchange = "binance"\n'
    until = "until = 2026-10-01T02:00:00+02:00\n"

    ended = load_universe(written(tmp_path, SPAN + entry + until)).specs[0]
    trading = load_universe(written(tmp_path, SPAN + entry)).specs[0]

    assert (ended.until_ms, trading.until_ms) == (to_ms("2026-10-01T00:00:00Z"), None)
    assert ended.config_hash == trading.config_hash, "an end changes nothing before it"
    with pytest.raises(UsageError, match="until"):
        load_universe(written(tmp_path, SPAN + entry + "until = 2026-10-01T02:00:00\n"))


def test_a_simulated_market_may_show_another_stretch_of_the_simulation(tmp_path: Path) -> None:
    entry = '[[markets]]\nsymbol = "ETH-USDT"\ntimeframes = ["1h"]\nsource = "{}"\n'
    moved = load_universe(written(tmp_path, SPAN + entry.format("simulated") + "simulated_from = 2019-01-01T05:00:00Z"))
    plain = load_universe(written(tmp_path, SPAN + entry.format("simulated")))

    assert (moved.specs[0].simulated_from_ms, plain.specs[0].simulated_from_ms) == (to_ms("2019-01-01T05:00:00Z"), None)
    assert moved.specs[0].config_hash != plain.specs[0].config_hash, "it gets other candles"
    for source, moment in (("files", "2019-01-01T05:00:00Z"), ("simulated", "2019-01-01T05:30:00Z")):
        with pytest.raises(UsageError, match="simulated_from is a full UTC hour of a market"):
            load_universe(written(tmp_path, SPAN + entry.format(source) + f"simulated_from = {moment}"))


def test_a_list_gives_what_the_same_file_gives(tmp_path: Path) -> None:
    entry = {"symbol": "BTCUSDT", "timeframes": ["1m", "1h"], "source": "files"}

    assert universe_of([entry], "2020-02-01T00:00:00Z") == load_universe(written(tmp_path, SPAN + BTC))
    with pytest.raises(UsageError, match=r"The team's list is not a list of markets: market BTCUSDT, source: "):
        universe_of([entry | {"source": "nowhere"}], "2020-02-01T00:00:00Z", place="The team's list")
    with pytest.raises(UsageError, match=r"A list lists .* more than once"):
        universe_of([entry, entry], "2020-02-01T00:00:00Z")
    with pytest.raises(UsageError, match="A list: the partitions end"):
        universe_of([entry], "2020-02-01T00:00:00Z", "2020-02-01T00:00:00Z")
