"""JSON answers, encoded by orjson.

See the route modules for their content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON values as an answer; NaN becomes null."""
    return Response(orjson.dumps(content), status, headers, "application/json")
