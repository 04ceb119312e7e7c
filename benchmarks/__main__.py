"""Runs every benchmark in turn; each writes its own section of docs/benchmarks.md."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LAST = "scaling"
"""Computes from what the others measured."""
HELPERS = ("__main__", "__init__", "api_peer", "candle_peers", "document", "feature_peers", "storage_peers")


def main() -> int:
    names = [p.stem for p in sorted(HERE.glob("*.py")) if p.stem not in HELPERS and not p.stem.startswith("naive")]
    names.sort(key=lambda name: name == LAST)
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode for name in names]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
