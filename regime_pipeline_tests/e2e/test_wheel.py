"""The wheel in an environment and a folder of its own: the core without Dagster, the commands without a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

pytestmark = pytest.mark.faults  # minutes of installing: beside the slow suites, not in `make test`

WALK = """
import sys
import numpy as np, pandas as pd
import regime_pipeline as rp

hours = pd.date_range("2026-06-01", periods=400, freq="h", tz="UTC")
close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.004, len(hours))))
candles = pd.DataFrame({"open_time": hours, "open": np.append(100.0, close[:-1]), "close": close, "volume": 1.0})
candles["high"] = candles[["open", "close"]].max(axis=1) * 1.001
candles["low"] = candles[["open", "close"]].min(axis=1) * 0.999
found = rp.verdicts(candles)
assert (found["verdict"] != "INSUFFICIENT_DATA").any()
assert len(rp.join(candles, found)) == len(rp.classify_candles(candles)) == len(hours)
assert not {"dagster", "sqlalchemy", "psycopg", "fastapi"} & sys.modules.keys()
try:
    rp.RegimeStorage
except ModuleNotFoundError as error:
    print(error)
"""


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command where neither the checkout nor the settings of this process are in sight."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("REGIME_", "PYTHONPATH"))}
    return subprocess.run(
        command, cwd=folder, env=plain | environment, capture_output=True, text=True, timeout=570, check=False
    )


def pip(folder: Path, *words: str, python: str = sys.executable, **environment: str) -> None:
    done = run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", *words], folder, **environment)
    if done.returncode:
        pytest.skip(f"nothing can be installed here: {done.stderr.strip().splitlines()[-1]}")


def built(folder: Path, **environment: str) -> Path:
    pip(folder, "wheel", str(REPOSITORY), "--no-deps", "--wheel-dir", str(folder), **environment)
    return next(folder.glob("*.whl"))


def about(wheel: Path) -> str:
    """What a package index shows."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return archive.read(name).decode()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def test_whoever_publishes_names_the_address_to_which_every_link_leads(tmp_path: Path) -> None:
    text = about(built(tmp_path, REGIME_PROJECT_URL="https://git.example.org/desk/regime/"))

    assert "Project-URL: Source, https://git.example.org/desk/regime\n" in text
    assert "Project-URL: Changelog, https://git.example.org/desk/regime/blob/main/CHANGELOG.md\n" in text
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert {link.partition("/desk/regime/")[2] for link in links} >= {
        "blob/main/docs/tutorial.md",
        "raw/main/docs/pictures/overview.png",
    }
    assert [link for link in links if not link.startswith("https://")] == []
    inside = [link.split("/main/")[1].partition("#")[0] for link in links if "git.example.org" in link]
    assert [place for place in inside if not (REPOSITORY / place).exists()] == []


def test_the_wheel_is_typed_and_its_page_has_no_link_into_the_repository(wheel: Path) -> None:
    text = about(wheel)

    with zipfile.ZipFile(wheel) as archive:
        assert {"regime_pipeline/py.typed", "regime_pipeline/pipeline/dagster.yaml"} <= set(archive.namelist())
    assert re.findall(r"\]\((?!https?://)[^)]*\)", text) == []
    assert "Project-URL" not in text
    assert "Classifier: Typing :: Typed" in text
    assert "# regime_pipeline" in text


def test_the_core_works_without_dagster_and_a_database(wheel: Path, tmp_path: Path) -> None:
    assert run([sys.executable, "-m", "venv", "bare"], tmp_path).returncode == 0
    python, regime = (str(tmp_path / "bare" / "bin" / name) for name in ("python", "regime"))
    constraints = ("--constraint", str(REPOSITORY / "constraints.txt"))
    pip(tmp_path, "install", "--no-compile", str(wheel), *constraints, python=python)

    api = run([python, "-c", WALK], tmp_path)
    help_page, begun, demo = (run([regime, word], tmp_path) for word in ("--help", "init", "demo"))

    assert (api.returncode, api.stderr) == (0, "")
    assert "RegimeStorage needs " in api.stdout
    assert "pip install 'regime-pipeline[database]'" in api.stdout
    assert (help_page.returncode, begun.returncode, demo.returncode) == (0, 0, 2)
    assert "pip install 'regime-pipeline[pipeline]'" in " ".join(demo.stderr.split())
    assert (tmp_path / "markets.toml").exists()


@pytest.mark.postgres
def test_a_folder_without_a_checkout_is_enough(wheel: Path, tmp_path: Path, make_home: Callable[..., Path]) -> None:
    """The wheel's own files on top of what is installed here, in an empty folder."""
    pip(tmp_path, "install", "--no-deps", "--no-compile", "--target", str(tmp_path / "site"), str(wheel))
    home = make_home("wheel")
    here = {"PYTHONPATH": str(tmp_path / "site"), "REGIME_HOME": str(home), "REGIME_MARKETS": str(tmp_path / "m.toml")}
    start = "from regime_pipeline.cli.app import main; main()"

    def regime(*words: str) -> subprocess.CompletedProcess[str]:
        return run([sys.executable, "-P", "-c", start, *words], tmp_path, **here)

    begun = regime("init")
    first = re.findall(r"^start = (\S+)", (tmp_path / "m.toml").read_text("utf-8"), re.MULTILINE)[0]
    filled = regime("backfill", "--end", first.replace("T00", "T02"))
    status = regime("status")

    assert (begun.returncode, filled.returncode, status.returncode) == (0, 0, 0), filled.stderr
    assert "16 hour partitions written" in filled.stderr  # 2 hours x 8 assets
    assert "ALFA-USDT_1h" in status.stdout
    assert (home / "site" / "index.html").exists()
