"""docs/cli.md is the command line's own help; `python -m regime_pipeline_tests.cli.test_reference` writes it anew."""

from __future__ import annotations

import os
import subprocess
import sys

from regime_pipeline_tests.conftest import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "cli.md"
COMMANDS = (
    "",
    "demo",
    "up",
    "import",
    "backfill",
    "export",
    "backtest",
    "lake",
    "doctor",
    "verify-causality",
    "benchmark",
    "benchmark accuracy",
    "benchmark speed",
    "db",
    "db start",
    "db stop",
    "db status",
    "db upgrade",
    "db url",
    "db backup",
    "db restore",
    "db move",
    "db roles",
)


END = "=== end of one help ==="
SCRIPT = """
import contextlib, sys
from regime_pipeline.cli.app import main
for command in sys.argv[2:]:
    sys.argv[:] = ["regime", *command.split(), "--help"]
    with contextlib.suppress(SystemExit):
        main()
    print(END)
"""


def helps() -> list[str]:
    """Help text of each command, 100 columns wide, without colours and trailing spaces."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("END", repr(END)), "regime", *COMMANDS],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    texts = done.stdout.split(END)[:-1]
    return ["\n".join(line.rstrip() for line in text.strip("\n").splitlines()) for text in texts]


def reference() -> str:
    sections = [
        f"## regime {command}".rstrip() + f"\n\n```\n{text}\n```"
        for command, text in zip(COMMANDS, helps(), strict=True)
    ]
    return "\n\n".join(["# Command line", *sections]) + "\n"


def test_the_reference_is_the_help() -> None:
    assert REFERENCE.read_text("utf-8") == reference()


if __name__ == "__main__":
    REFERENCE.write_text(reference(), "utf-8")
