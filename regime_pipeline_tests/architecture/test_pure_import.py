"""Importing the package, or its domain, must cost nothing and touch nothing."""

import subprocess
import sys

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
