"""No tracked file holds a key, a token, a password or the path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from regime_pipeline_tests.conftest import REPOSITORY

PATTERNS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "Google key": r"\bAIza[0-9A-Za-z_\-]{35}\b",
    "GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{22,})\b",
    "GitLab token": r"\bglpat-[0-9A-Za-z_\-]{20}\b",
    "Slack token or webhook": r"\bxox[abprs]-[0-9A-Za-z\-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{20,}",
    "PyPI token": r"\bpypi-[0-9A-Za-z_\-]{50,}",
    "API key of a model": r"\bsk-(?:ant-|proj-)?[0-9A-Za-z_\-]{24,}",
    "JSON web token": r"\beyJ[0-9A-Za-z_\-]{10,}\.eyJ[0-9A-Za-z_\-]{10,}\.[0-9A-Za-z_\-]{10,}",
    "assigned secret": (
        r"(?i)\b(?:api_?key|api_?secret|secret_?key|access_?token|passw(?:or)?d)\b['\"]?\s*[:=]\s*"
        r"['\"](?![^'\"]*[{<$*%.])[^'\"\s]{12,}['\"]"
    ),
    "password in a URL": r"\w://[^\s/:@'\"{}<>$*]+:(?!\W?(?:secret|password|pass|p)\b)[^\s/:@'\"{}<>$*%]{6,}@",
    "home directory": r"(?<![\w.])/(?:home|Users)/(?!user\b|me\b|you\b)[a-z][\w.\-]*/",
}
COMPILED = {name: re.compile(pattern) for name, pattern in PATTERNS.items()}
PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "AWS key": "AKIA" + "Q3EGRIGNXAMPLE12",
    "Google key": "AIza" + "Sy" + "a1B2" * 8 + "x",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "GitLab token": "glpat-" + "a1B2" * 5,
    "Slack token or webhook": "xoxb-" + "123456789012-abc",
    "PyPI token": "pypi-" + "AgEI" * 15,
    "API key of a model": "sk-ant-" + "a1B2" * 8,
    "JSON web token": ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0", "a" * 20]),
    "assigned secret": "api_key" + " = 'q7Zr2xLw9TnB4c'",
    "password in a URL": "postgresql://admin:" + "hunter2hunter2@db.example.com/x",
    "home directory": "/ho" + "me/alice/data/",
}


def tracked_files() -> list[Path]:
    """The files of the repository; skips where it is not a repository."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the tracked files cannot be listed: {error}")
    return [path for name in done.stdout.decode().split("\0") if name and (path := REPOSITORY / name).is_file()]


def found_in(text: str) -> Iterator[str]:
    for name, pattern in COMPILED.items():
        for match in pattern.finditer(text):
            yield f"line {text.count(chr(10), 0, match.start()) + 1}: {name}"


def test_no_tracked_file_holds_a_secret() -> None:
    files = tracked_files()
    assert len(files) > 100
    texts = {path.relative_to(REPOSITORY): path.read_bytes().decode("utf-8", "replace") for path in files}
    assert [f"{path} {finding}" for path, text in texts.items() for finding in found_in(text)] == []


@pytest.mark.parametrize("name", PATTERNS)
def test_the_scan_finds_what_it_looks_for(name: str) -> None:
    assert [finding.partition(": ")[2] for finding in found_in(f"x\n{PLANTED[name]}\n")] == [name]
