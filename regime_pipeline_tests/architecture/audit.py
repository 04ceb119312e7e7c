"""Looks up what only the network knows of the pins: withdrawn releases and known vulnerabilities; see `make audit`.

Runs in an environment of its own that holds pip and pip-audit. What cannot be looked up is said, and fails unless asked
not to: a run that looked at nothing must not read as a clean one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PINS = Path(__file__).resolve().parents[2] / "constraints.txt"
PATIENCE_S = 240
CLEAN, FOUND, UNKNOWN = 0, 1, 2
Finding = tuple[int, str]
"""Whether something was found, and a sentence."""


def withdrawn(report: dict[str, Any] | None) -> Finding:
    """Judge pip's report of what it would install: releases that the index calls yanked."""
    if report is None:
        return UNKNOWN, "Withdrawn releases: NOT LOOKED UP, the package index did not answer for every pin."
    pins = report["install"]
    names = [f"{pin['metadata']['name']} {pin['metadata']['version']}" for pin in pins if pin.get("is_yanked")]
    if names:
        return FOUND, f"Withdrawn releases: {', '.join(names)}."
    return CLEAN, f"Withdrawn releases: none among {len(pins)} pins."


def vulnerable(audit: dict[str, Any] | None) -> Finding:
    """Judge pip-audit's report; pins that the service does not know were not audited, whatever the exit code."""
    pins = audit["dependencies"] if audit else []
    looked_up = [pin for pin in pins if "skip_reason" not in pin]
    found = [f"{pin['name']} {pin['version']}: {each['id']}" for pin in looked_up for each in pin["vulns"]]
    if found:
        return FOUND, f"Known vulnerabilities: {', '.join(found)}."
    if not looked_up:
        return UNKNOWN, "Known vulnerabilities: NOT LOOKED UP, the service of advisories cannot be reached from here."
    if len(looked_up) < len(pins):
        missing = ", ".join(pin["name"] for pin in pins if "skip_reason" in pin)
        return UNKNOWN, f"Known vulnerabilities: none among {len(looked_up)} pins; NOT LOOKED UP: {missing}."
    return CLEAN, f"Known vulnerabilities: none among {len(pins)} pins."


def run(module: str, *options: str) -> dict[str, Any] | None:
    """Run a tool of this environment; return the JSON that it wrote, None where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", module, *(option.format(report=path) for option in options)]
        try:
            subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerant", action="store_true", help="what cannot be looked up is said and is no failure")
    is_tolerant = parser.parse_args().tolerant
    pins = ("--requirement", str(PINS), "--no-deps")
    findings = [
        withdrawn(run("pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "{report}", *pins)),
        vulnerable(run("pip_audit", "--disable-pip", "--format", "json", "--output", "{report}", *pins)),
    ]
    for _, sentence in findings:
        print(sentence)
    codes = {code for code, _ in findings}
    if FOUND in codes:
        return FOUND
    return UNKNOWN if UNKNOWN in codes and not is_tolerant else CLEAN


if __name__ == "__main__":
    sys.exit(main())
