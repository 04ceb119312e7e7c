"""Files that users copy carry `integrations.bot_decision` and `bot_watch` whole; see `test_hummingbot`.

`python -m regime_pipeline_tests.integrations.copied_files` mends them.
"""

from __future__ import annotations

import ast
from pathlib import Path

from regime_pipeline_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "hummingbot"
FILES = sorted(FOLDER.rglob("*.py"))
CARRIED = [REPOSITORY / "regime_pipeline" / "integrations" / f"{name}.py" for name in ("bot_decision", "bot_watch")]
BEGIN, END = "# regime_pipeline.integrations: begin\n", "# regime_pipeline.integrations: end\n"


def body(path: Path) -> str:
    """A module without its docstring, and without `annotations` of the future, which need an entry in `sys.modules`."""
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        is_docstring = isinstance(node, ast.Expr) and node.lineno == 1
        is_ours = isinstance(node, ast.ImportFrom) and str(node.module).startswith(("__future__", "regime_pipeline"))
        if is_docstring or is_ours:
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
    return "".join(lines).strip("\n")


def whole(text: str) -> str:
    """A file with what it carries brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    carried = "\n\n\n".join(body(path) for path in CARRIED)
    return f"{before}{BEGIN}\n{carried}\n\n{END}{after}"


if __name__ == "__main__":
    for file in FILES:
        file.write_text(whole(file.read_text("utf-8")), "utf-8")
