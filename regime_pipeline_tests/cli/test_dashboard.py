"""Tests of `regime dashboard`: a site is built into a folder and served to this machine, mistakes are sentences."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from regime_pipeline.cli import dashboard as dashboard_commands
from regime_pipeline.cli.dashboard import LOOPBACK, make_server, served
from regime_pipeline.domain.errors import UsageError
from regime_pipeline_tests.cli.fixtures import regime
from regime_pipeline_tests.dashboard.factories import ALFA, site_rows, write

pytestmark = pytest.mark.slow

MARKETS = """
[partitions]
start = 2026-09-01T00:00:00Z

[[markets]]
symbol = "ALFA-USDT"
timeframes = ["1h"]
source = "simulated"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write(site_rows(), tmp_path / "site")
    return tmp_path / "site"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            return int(reply.status), reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_build_writes_the_site_and_names_the_page(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "markets.toml").write_text(MARKETS, "utf-8")
    monkeypatch.setenv("REGIME_HOME", str(home))

    assert regime(monkeypatch, "backfill", "--end", "2026-09-01T03:00:00Z") == 0
    (home / "site/ALFA-USDT_1h.html").unlink()
    capsys.readouterr()
    assert regime(monkeypatch, "dashboard", "build") == 0
    first = capsys.readouterr().out
    assert regime(monkeypatch, "dashboard", "build", "--output", str(home / "other"), "--days", "1") == 0

    assert "Dashboard of 1 markets: 1 files written, 9 unchanged, 0 removed." in first
    assert f"Open {home / 'site/index.html'}" in first
    same = "ALFA-USDT_1h.html"
    assert (home / "site" / same).read_bytes() == (home / "other" / same).read_bytes()

    def taken(*_: object, **__: object) -> None:
        raise UsageError("Port 8090 cannot be used.")

    shutil.rmtree(home / "site")
    monkeypatch.setattr(dashboard_commands, make_server.__name__, taken)
    assert regime(monkeypatch, "dashboard", "serve") == 2
    assert (home / "site" / same).is_file(), "a home without a site gets one before it is served"


def test_a_served_site_answers_on_this_machine_alone(site: Path) -> None:
    with served(site, 0, LOOPBACK, "--port") as address:
        assert address.startswith("http://127.0.0.1:")
        status, page = get(address)
        assert (status, page) == (200, (site / "index.html").read_text("utf-8"))
        assert get(f"{address}data/{ALFA.key}.js?v=1")[0] == 200
        assert get(f"{address}../site.txt")[0] == 404


def test_serve_runs_until_it_is_asked_to_stop(site: Path) -> None:
    command = [sys.executable, "-c", "from regime_pipeline.cli.app import main; main()", "dashboard", "serve"]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    command += ["--output", str(site), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            assert get(said.split()[0])[0] == 200
            server.send_signal(signal.SIGINT)
            assert server.stderr.read() == "Stopped.\n"
            assert server.wait(60) == 0
        finally:
            server.kill()


@pytest.mark.parametrize("command", [["serve"], ["serve", "--port", "0"]])
def test_a_site_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert regime(monkeypatch, "dashboard", *command, "--output", str(tmp_path)) == 1

    said = " ".join(capsys.readouterr().err.split())
    assert said == f"Error: There is no dashboard in {tmp_path}. Build one with `regime dashboard build`."


def test_a_port_that_is_taken_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(site, 0, LOOPBACK, "--port") as address:
        port = address.rstrip("/").rpartition(":")[2]

        assert regime(monkeypatch, "dashboard", "serve", "--output", str(site), "--port", port) == 2

    said = " ".join(capsys.readouterr().err.split())
    assert said == f"Error: Port {port} cannot be used: Address already in use. Name another with --port."


def test_only_files_of_the_site_are_served_and_pages_keep_to_themselves(site: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (site / "link.txt").symlink_to(secret)
    (site / "folder").mkdir()
    (site / ".lock").write_text("")
    with served(site, 0, LOOPBACK, "--port") as url:
        for path in ("link.txt", "folder/", ".lock", "%00", "../secret.txt", "%2e%2e/secret.txt", "x" * 5_000):
            assert get(url + path) == (404, ""), path
        with urllib.request.urlopen(url, timeout=20) as reply:
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
