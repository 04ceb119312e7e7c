"""Starts the roles of compose.yaml as plain processes, for machines without a Docker engine: same commands, same files.

Only addresses and folders are replaced; PostgreSQL and Redis must run already. As in compose, a role that ends is
started again. Ctrl-C stops every role, workers once their runs have ended; a second one ends those as well.

    python docker/local.py --home ~/regime \
        --database postgresql://regime@db.example:5432/regime --redis redis://127.0.0.1:6379

On a further machine: the same with `--roles worker`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, Final

import yaml
from celery import Celery

from regime_pipeline.storage.urls import dagster_url, database_name, libpq_url, with_database

HERE: Final = Path(__file__).parent
ROLES: Final = ("code", "worker", "webserver", "daemon", "api", "site")
"""In the order of their start: what others need stands first."""
FILES: Final = ("dagster.yaml", "workspace.yaml", "celery.yaml", "prepare.sh")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IMAGE_HOME: Final = "/opt/dagster"
_IMAGE_DATA: Final = "/data"
_START_S: Final = 300
_STOP_S: Final = 30
_RUN_S: Final = 3_600
"""How long a worker that is asked to stop may take: as long as its run, as in compose and Kubernetes."""


@dataclass(frozen=True)
class Place:
    """Where the roles find each other and what they write."""

    home: Path
    database: str
    redis: str
    port: int
    code_port: int
    api_port: int
    site_port: int

    @property
    def dagster_home(self) -> Path:
        """Directory of the instance; each machine has its own."""
        return self.home / "dagster"

    def environment(self) -> dict[str, str]:
        """Return the variables of the image and of compose, with this place's values.

        Raises
        ------
        KeyError
            Compose has a variable of containers that this file does not know.
        """
        dagster = with_database(self.database, f"{database_name(self.database)}_dagster")
        here = {
            "REGIME_DATABASE_URL": libpq_url(self.database),
            "DAGSTER_PG_URL": dagster_url(dagster),
            "REGIME_DAGSTER_DATABASE_URL": dagster,
            "REGIME_CELERY_BROKER": f"{self.redis}/0",
            "REGIME_CELERY_BACKEND": f"{self.redis}/1",
            "DAGSTER_HOME": str(self.dagster_home),
            "REGIME_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        wanted = {**image_environment(), **compose()["services"]["code"]["environment"]}
        del wanted["NUMBA_CACHE_DIR"]  # outside the image compiled kernels rest beside the code, shared by every role
        own = {name: value for name, value in wanted.items() if value != f"${{{name}:-}}"}  # the others are passed on
        given = {name: here[name] if name in here or "$" in value else value for name, value in own.items()}
        return {**os.environ, **given}

    def prepare(self) -> None:
        """Write the files of the image's /opt/dagster, with the code server on this machine."""
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            text = (HERE / name).read_text("utf-8")
            if name == "workspace.yaml":
                text = text.replace("host: code", "host: 127.0.0.1").replace("port: 4000", f"port: {self.code_port}")
            text = text.replace(f": {_IMAGE_DATA}/", f": {self.home}/")
            (self.dagster_home / name).write_text(text, "utf-8")

    def command(self, role: str) -> list[str]:
        """Return the command of a role, by compose or else by the image."""
        ports = {"3000": self.port, "4000": self.code_port, "8000": self.api_port, "8090": self.site_port}
        here = {**ports, "0.0.0.0": "127.0.0.1"}  # noqa: S104
        words = compose()["services"][role].get("command") or image_command()
        return [str(here.get(word, word)).replace(_IMAGE_HOME, str(self.dagster_home)) for word in words]


def compose() -> Any:
    """Return compose.yaml."""
    return yaml.safe_load((HERE / "compose.yaml").read_text("utf-8"))


def image_command() -> list[str]:
    """Return the last command of the Dockerfile, which the code server runs."""
    return list(json.loads(re.findall(r"^CMD (\[.*\])$", _dockerfile(), re.MULTILINE)[-1]))


def image_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets."""
    (block,) = re.findall(r"^ENV (.*)$", _dockerfile(), re.MULTILINE)
    return dict(pair.split("=", 1) for pair in block.split())


def _dockerfile() -> str:
    """Return the Dockerfile with every instruction on one line."""
    return (HERE / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


@contextmanager
def running(place: Place, roles: Sequence[str], workers: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start the roles in their order, each once the one before answers; stop them all at the end."""
    place.prepare()
    environment = place.environment()
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        stack.callback(lambda: stop(started))
        if "code" in roles:
            subprocess.run(place.command("schema"), env=environment, check=True)  # noqa: S603
        for role in [role for role in ROLES if role in roles]:
            for number in range(workers if role == "worker" else 1):
                started[f"{role}-{number}"] = _start(place.command(role), environment)
            _await_role(role, place, started)
        yield started


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603


def _await_role(role: str, place: Place, started: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Wait until a role that others talk to answers: on its port, or over the broker."""
    mine = [process for name, process in started.items() if name.startswith(role)]
    ask = {
        "code": lambda: _answers(place.code_port),
        "webserver": lambda: _answers(place.port),
        "api": lambda: _answers(place.api_port),
        "site": lambda: _answers(place.site_port),
        "worker": lambda: _workers(place) >= len(mine),
    }.get(role, lambda: True)
    deadline = time.monotonic() + _START_S
    while not ask():
        if any(process.poll() is not None for process in mine) or time.monotonic() > deadline:
            sys.exit(f"{role} did not start.")
        time.sleep(0.1)


def _workers(place: Place) -> int:
    """How many workers listen, on whatever machine."""
    with Celery(broker=f"{place.redis}/0") as app:
        return len(app.control.inspect(timeout=2).ping() or {})


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Ask each to end, newest first, and end by force what has not after a while, children included."""
    hurry = Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: hurry.set())
    for process in reversed(list(processes.values())):
        process.terminate()
    began = time.monotonic()
    for name, process in processes.items():
        deadline = began + (_RUN_S if name.startswith("worker") else _STOP_S)
        while process.poll() is None and time.monotonic() < deadline and not hurry.wait(0.1):
            pass
        _kill_group(process.pid)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="docker/local.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="markets.toml, snapshots and Dagster's files")
    parser.add_argument("--database", required=True, help="PostgreSQL over TCP; Dagster's is beside it, NAME_dagster")
    parser.add_argument("--redis", required=True, help="redis://host:port; databases 0 and 1 are used")
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=list(ROLES), help="what runs on this machine")
    parser.add_argument("--workers", type=int, default=4, help="workers; each does one run at a time")
    parser.add_argument("--port", type=int, default=3000, help="of the UI")
    parser.add_argument("--code-port", type=int, default=4000, help="of the code server")
    parser.add_argument("--api-port", type=int, default=8000, help="of the HTTP API")
    parser.add_argument("--site-port", type=int, default=8090, help="of the dashboard")
    return parser.parse_args()


def main() -> int:
    """Run until a signal comes."""
    given = _arguments()
    ports = (given.port, given.code_port, given.api_port, given.site_port)
    place = Place(given.home.absolute(), given.database, given.redis.rstrip("/"), *ports)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with running(place, given.roles, given.workers) as processes:
            while True:
                time.sleep(1)
                for name in [name for name, process in processes.items() if process.poll() is not None]:
                    sys.stderr.write(f"{name} ended with code {processes[name].returncode}; it is started again.\n")
                    processes[name] = _start(place.command(name.partition("-")[0]), place.environment())
    except KeyboardInterrupt:
        return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Stop in order, once: a second signal before `stop` is ready for it must not leave roles behind."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
