"""Local folders and URLs as roots: what is taken stays, what is absent is None."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from regime_pipeline.storage.snapshots.backends import (
    Files,
    LocalFiles,
    NewestRevision,
    UrlFiles,
    open_files,
    revision_name,
)

STEM = "2020/03/12/00/ETH-USDT_1h"


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return open_files(str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def test_roots_choose_their_backend(tmp_path: Path) -> None:
    assert isinstance(open_files(str(tmp_path)), LocalFiles)
    assert isinstance(open_files(f"file://{tmp_path}"), LocalFiles)
    assert isinstance(open_files("memory://somewhere"), UrlFiles)


def test_the_first_revision_has_no_number() -> None:
    assert [revision_name(STEM, n) for n in (1, 2, 3)] == [f"{STEM}.json", f"{STEM}.r2.json", f"{STEM}.r3.json"]


def test_a_name_is_given_once(files: Files) -> None:
    name = revision_name(STEM, 1)

    assert files.create([(name, b"one"), (revision_name(STEM, 2), b"two")]) == [True, True]
    assert files.create([(name, b"other"), (revision_name(STEM, 3), b"three")]) == [False, True]
    assert files.read([name, "2020/03/12/00/none.json"]) == [b"one", None]
    assert files.newest([STEM, "2020/03/12/05/ETH-USDT_1h"]) == [NewestRevision(3, b"three"), None]


def test_nothing_in_nothing_out(files: Files) -> None:
    assert (files.newest([]), files.read([]), files.create([])) == ([], [], [])


def test_another_market_is_not_a_revision(files: Files) -> None:
    files.create([("2020/03/12/00/ETH-USDT_1h.json", b"x"), ("2020/03/12/00/ETH-USDT_15m.r2.json", b"y")])

    assert files.newest([STEM, "2020/03/12/00/ETH-USDT_15m"]) == [
        NewestRevision(1, b"x"),
        NewestRevision(2, b"y"),
    ]


def test_a_broken_remote_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    files = UrlFiles(f"memory://{uuid.uuid4().hex}")
    files.create([(f"{STEM}.json", b"x")])

    def broken(paths: list[str], **options: Any) -> dict[str, Exception]:
        return {path: PermissionError(13, "denied") for path in paths}

    monkeypatch.setattr(files._fs, "cat", broken)
    with pytest.raises(PermissionError):
        files.newest([STEM])
