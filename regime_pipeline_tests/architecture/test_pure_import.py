"""Importing the package, or its domain, must cost nothing and touch nothing."""

import re
import subprocess
import sys

from regime_pipeline_tests.conftest import REPOSITORY

HEAVY = ("dagster", "sqlalchemy", "pandas", "numba", "psycopg")


def test_the_domain_imports_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "import regime_pipeline.domain.candle_regimes.classifier, regime_pipeline.domain.market_data.snapshot\n"
        "import regime_pipeline.domain.verdicts.engine, regime_pipeline.domain.verdicts.hourly_summary\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_no_test_imports_a_benchmark() -> None:
    """Benchmarks are built from the tests' kits and references; the other way round would be a circle."""
    sources = [path.read_text("utf-8") for path in (REPOSITORY / "regime_pipeline_tests").rglob("*.py")]

    assert len(sources) > 200
    assert not [text for text in sources if re.search(r"^(?:from|import) benchmarks\b", text, re.MULTILINE)]
