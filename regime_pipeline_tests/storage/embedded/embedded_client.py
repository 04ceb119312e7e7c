"""A client process of an embedded server that does what the lines on its standard input say; tests drive it.

Usage: embedded_client.py HOME [UID GID], where root becomes that user first. Each command answers with one line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from regime_pipeline.storage.databases import resolve_database
from regime_pipeline.storage.embedded.server import embedded_server

COUNT = "SELECT count(*) FROM ledger"
INSERT = "INSERT INTO ledger VALUES (%s)"
CREATE = "CREATE TABLE IF NOT EXISTS ledger (entry text PRIMARY KEY)"


class Client:
    """The commands, one method each."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server = embedded_server(home)

    def attach(self) -> object:
        """Become a client; answers the URL."""
        return self.server.attach()

    def resolve(self) -> object:
        """Become a client as a composition root does; answers the URL of our database."""
        return resolve_database(self.home, None, None, "nobody").regimes

    def release(self) -> object:
        """Leave."""
        self.server.release()
        return "released"

    def start(self) -> object:
        """Start the server to stay; answers the URL."""
        return self.server.start_detached()

    def postmaster(self) -> object:
        """Answer the number of the server's process."""
        return self.server.status().postmaster_pid

    def write(self, entry: str) -> object:
        """Commit one row; answers it, or `lost` when the server was killed meanwhile."""
        try:
            with psycopg.connect(self.server.attach()) as connection:
                connection.execute("SELECT pg_advisory_xact_lock(1)")
                connection.execute(CREATE)
                connection.execute(INSERT, [entry])
        except psycopg.OperationalError:
            return "lost"
        return entry

    def count(self) -> object:
        """Answer the number of committed rows."""
        with psycopg.connect(self.server.attach()) as connection:
            return (connection.execute(COUNT).fetchone() or [None])[0]

    def fork(self) -> object:
        """Leave a forked child that lives on; answers its number."""
        child = os.fork()
        if child == 0:
            _sleep()
        return child

    def spawn(self) -> object:
        """Leave an executed child that was given every inheritable descriptor; answers its number."""
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(["/bin/sleep", "60"], close_fds=False, **silent).pid


def _sleep() -> None:
    """Live on with the standard streams closed, so that the parent's pipes end with the parent."""
    for descriptor in range(3):
        os.close(descriptor)
    time.sleep(60)
    os._exit(0)


def main() -> None:
    """Answer commands until the input ends."""
    home = Path(sys.argv[1])
    if len(sys.argv) > 2:
        os.setgroups([])
        os.setgid(int(sys.argv[3]))
        os.setuid(int(sys.argv[2]))
    client = Client(home)
    for line in sys.stdin:
        command, *arguments = line.split()
        print(getattr(client, command)(*arguments), flush=True)


if __name__ == "__main__":
    main()
