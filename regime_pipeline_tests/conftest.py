"""Fixtures of every test: homes of embedded servers, databases, the shared market data."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import hypothesis
import psycopg
import pytest
from psycopg import sql

from regime_pipeline.services.chain.workspace import Workspace
from regime_pipeline.storage.embedded.server import EmbeddedServer
from regime_pipeline.storage.urls import with_database
from regime_pipeline_tests.served_home import served_workspace

hypothesis.settings.register_profile(
    "steady",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steady")  # machines are noisy: no test fails for being slow once
SOAK = int(os.environ.get("REGIME_TEST_SOAK", "1"))
"""How many times longer than in `make test` the tests marked `soak` go on; `make faults` says 10."""
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")  # peers warn where `lscpu` is missing, unless fewer are asked for
REPOSITORY = Path(__file__).resolve().parent.parent
SECOND_SERVER = os.environ.get("REGIME_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def pytest_configure() -> None:
    """Let signals stop what the tests start, also where whoever runs them in the background has them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow files, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def is_measured(item: pytest.Item) -> bool:
    """Whether coverage counts what a test runs: the bars are for the quick ones to reach."""
    return item.get_closest_marker("slow") is None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Pause coverage where nothing is to be measured: it makes Python code take up to twice as long."""
    paused = None if is_measured(item) else coverage.Coverage.current()
    if paused is not None:
        paused.stop()
    try:
        return (yield)
    finally:
        if paused is not None:
            paused.start()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Directory of real market data that is never committed; skips where it is absent."""
    path = Path(os.environ.get("REGIME_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (path / "MANIFEST.csv").is_file():
        pytest.skip(f"no shared market data at {path} (set REGIME_SHARED_DATA)")
    return path


@pytest.fixture(scope="session")
def case_files() -> Path:
    """Directory of candle files in the forms that people have, never committed; skips where it is absent."""
    path = Path(os.environ.get("REGIME_SHARED_CASES", REPOSITORY.parent / "shared" / "cases" / "files"))
    if not path.is_dir():
        pytest.skip(f"no case files at {path} (set REGIME_SHARED_CASES)")
    return path


@contextlib.contextmanager
def temporary_homes() -> Iterator[Callable[..., Path]]:
    """Make empty homes; whatever server they have is stopped and removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="regime-test-"))
    root.chmod(0o755)
    homes: list[Path] = []

    def make(name: str = "home", uid: int | None = None) -> Path:
        home = root / name
        home.mkdir(parents=True)
        homes.append(home)
        if uid is not None:
            os.chown(home, uid, -1)
        return home

    yield make
    for home in homes:
        stop_by_force(home)
        for link in (home / "postgres" / "socket", home / "postgres"):
            shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(root)


def stop_by_force(home: Path) -> None:
    """Stop the server of a home, whoever runs it."""
    data = home / "postgres" / "data"
    if data.exists() and (home / "postgres").stat().st_uid == os.geteuid():
        owner = data.stat().st_uid
        with contextlib.suppress(KeyError):
            EmbeddedServer(home, pwd.getpwuid(owner).pw_name).stop(force=True)


@pytest.fixture
def make_home() -> Iterator[Callable[..., Path]]:
    """Make empty homes."""
    with temporary_homes() as make:
        yield make


@pytest.fixture
def home(make_home: Callable[..., Path]) -> Path:
    """An empty home that the server's account can reach."""
    return make_home()


@pytest.fixture(scope="module")
def module_home() -> Iterator[Path]:
    """A home for the tests of a module that leave it in good order."""
    with temporary_homes() as make:
        yield make()


@pytest.fixture
def used_home(module_home: Path) -> Iterator[Path]:
    """A home that other tests used before; its server is stopped afterwards."""
    yield module_home
    stop_by_force(module_home)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Maintenance database of an embedded server that lives as long as the session (per xdist worker)."""
    with temporary_homes() as make_home:
        server = EmbeddedServer(make_home())
        url = server.attach()
        with psycopg.connect(url, autocommit=True) as connection:
            for name, value in (("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")):
                connection.execute(f"ALTER SYSTEM SET {name} = {value}")
            connection.execute("SELECT pg_reload_conf()")
        yield url
        server.release()


@pytest.fixture(scope="session")
def served(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Two simulated markets with their chain, for tests that only read (see `served_home`)."""
    with fresh_database(postgres_url) as url, served_workspace(url, tmp_path_factory.mktemp("served")) as opened:
        yield opened


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, empty database on the embedded server, dropped afterwards (libpq form)."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def make_database(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Make further fresh databases on the embedded server."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(fresh_database(postgres_url))


@pytest.fixture(params=["embedded", "pg15"])
def each_postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, empty database on the embedded server and then on a server of the oldest supported version."""
    url = request.getfixturevalue("postgres_url") if request.param == "embedded" else _second_server()
    with fresh_database(url) as fresh:
        yield fresh


@pytest.fixture
def tcp_postgres_url() -> str:
    """Maintenance database of a server that is reached over TCP; skips where there is none."""
    return _second_server()


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Create an empty database on a server and drop it afterwards, whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield with_database(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _second_server() -> str:
    try:
        psycopg.connect(SECOND_SERVER, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no second PostgreSQL to test with (set REGIME_TEST_POSTGRES_URL): {error}")
    return SECOND_SERVER
