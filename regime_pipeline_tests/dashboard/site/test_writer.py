"""The site's folder: the same rows make the same bytes, only what changed is rebuilt, and nobody's files are lost."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from regime_pipeline.dashboard.site.writer import LISTING, broken_links, prepare_folder, write_site
from regime_pipeline.domain.errors import UsageError
from regime_pipeline.domain.market_data.market import Market
from regime_pipeline.domain.schema import VERDICTS
from regime_pipeline_tests.dashboard.factories import ALFA, BRAVO, QUARTERS, make_rows, parts_of, site_rows, write


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    write(site_rows(), tmp_path / "one")
    write(site_rows(), tmp_path / "two")

    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_only_a_changed_market_is_rebuilt_and_the_result_is_that_of_a_fresh_build(tmp_path: Path) -> None:
    before, after = site_rows(), site_rows()
    after[2] = make_rows(230, BRAVO, seed=9, end_verdict="TRANSITION")
    write(before, tmp_path / "site")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*.*")}

    report = write(after, tmp_path / "site")

    write(after, tmp_path / "fresh")
    assert content(tmp_path / "site") == content(tmp_path / "fresh")
    assert report.made == ("BRAVO-USDT_1h.html", "index.html")
    assert (report.written, report.unchanged, report.removed) == (5, 14, 0)
    touched = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert touched == {
        "BRAVO-USDT_1h.html",
        "BRAVO-USDT_1h.js",
        "BRAVO-USDT_1h.candles.js",
        "index.html",
        "newest.js",
        LISTING,
    }


def test_another_symbol_rebuilds_no_page_and_is_on_the_way_to_all(tmp_path: Path) -> None:
    """Pages hold no list of all markets: their bytes together grow as the markets do."""
    write(site_rows(), tmp_path)
    more = [*site_rows(), *(make_rows(24, Market(f"N{number}-USDT", "1h")) for number in range(20))]

    report = write(more, tmp_path)

    assert len(report.made) == 21
    assert "N7-USDT" not in (tmp_path / f"{ALFA.key}.html").read_text("utf-8")
    newest = (tmp_path / "data/newest.js").read_text("utf-8").removeprefix("window.REGIME_NEWEST=").rstrip(";\n")
    assert orjson.loads(newest) == {
        rows.market.key: [rows.through_ms, VERDICTS[int(rows.hours["verdict"][-1])]] for rows in more
    }


def test_a_second_build_makes_nothing(tmp_path: Path) -> None:
    write(site_rows(), tmp_path)

    report = write(site_rows(), tmp_path)

    assert (report.made, report.written, report.unchanged) == ((), 0, 19)


@pytest.mark.parametrize(
    "lost", [f"{ALFA.key}.html", f"data/{QUARTERS.key}.js", "static/market.js", "data/newest.js", LISTING]
)
def test_a_lost_file_comes_back(tmp_path: Path, lost: str) -> None:
    write(site_rows(), tmp_path)
    whole = content(tmp_path)
    (tmp_path / lost).unlink()

    if lost == LISTING:  # without it the folder is not known to be ours
        with pytest.raises(UsageError, match="contains files other"):
            write(site_rows(), tmp_path)
        (tmp_path / LISTING).write_text("{", "utf-8")
    write(site_rows(), tmp_path)

    assert content(tmp_path) == whole


def test_a_market_that_is_gone_takes_its_files_along_and_no_others(tmp_path: Path) -> None:
    write(site_rows(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine", "utf-8")

    report = write([rows for rows in site_rows() if rows.market != BRAVO], tmp_path)

    assert report.removed == 3
    assert not (tmp_path / f"{BRAVO.key}.html").exists()
    assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"
    assert broken_links(tmp_path) == []


def test_a_listing_cannot_point_out_of_the_folder(tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside.txt"
    write(site_rows(), site)
    outside.write_text("keep me", "utf-8")
    (site / LISTING).write_text('{"../outside.txt": "x"}', "utf-8")

    assert write(site_rows(), site).removed == 0
    assert outside.exists()


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    write(site_rows(), tmp_path)
    assert broken_links(tmp_path) == []
    (tmp_path / f"data/{ALFA.key}.js").unlink()

    assert broken_links(tmp_path) == [f"{ALFA.key}.html: data/{ALFA.key}.js"]


def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(UsageError, match="contains files other than a dashboard's. Name a new or an empty folder."):
        prepare_folder(tmp_path)
    with pytest.raises(UsageError, match="cannot be written to .*letter.txt: File exists"):
        prepare_folder(tmp_path / "letter.txt")
    site = tmp_path / "site"
    write(site_rows(), site)
    (site / "index.html").unlink()
    (site / ".index.html.part").mkdir()
    with pytest.raises(UsageError, match="cannot be written to .*site: Is a directory"):
        write_site(parts_of(site_rows()), site)


def test_no_market_at_all_is_a_site_too(tmp_path: Path) -> None:
    write([], tmp_path)

    assert "No market has data yet." in (tmp_path / "index.html").read_text("utf-8")
    assert "DELTA-USDT_1h" in (tmp_path / "index.html").read_text("utf-8")
