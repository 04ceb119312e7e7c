"""Tests of `sources.ccxt_import`: one exchange alone, the same classes as the whole package has."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import patch

import ccxt
import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.sources import exchange_client as ccxt_import


def test_one_exchange_is_imported_without_the_others_and_the_whole_comes_after_it() -> None:
    code = (
        "import sys\n"
        "from regime_pipeline.sources.exchange_client import error_classes, exchange_class\n"
        "made, errors = exchange_class('kraken'), error_classes()\n"
        "print('ccxt.binance' in sys.modules, 'ccxt' in sys.modules, made().id)\n"
        "import ccxt\n"
        "print(ccxt.kraken is made, ccxt.NetworkError is errors.NetworkError, len(ccxt.exchanges) > 90)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False kraken", "True True True"]


def test_a_package_that_is_there_is_used() -> None:
    assert ccxt_import.exchange_class("binance") is ccxt.binance
    assert ccxt_import.error_classes().NetworkError is ccxt.NetworkError


@pytest.mark.parametrize("name", ["binanse", "__init__", "../os", ""])
def test_what_is_not_an_exchange_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="There is no exchange"):
        ccxt_import.exchange_class(name)


def test_without_ccxt_it_is_said_what_to_install() -> None:
    with (
        patch.object(ccxt_import, "find_spec", return_value=None),
        pytest.raises(UsageError, match=r"need ccxt, which is not installed. pip install"),
    ):
        ccxt_import.exchange_class("binance")
