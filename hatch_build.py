"""What a package index shows of the project: the README with links that lead somewhere, and the project's addresses.

Whoever publishes names the public repository: `REGIME_PROJECT_URL=https://... python -m build`. A build that names none
has no addresses, and of the README's links into the repository only their words.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?://)([^)]*)\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://)([^)]*)\)")
_PLACES = {
    "Documentation": "/blob/main/docs/README.md",
    "Changelog": "/blob/main/CHANGELOG.md",
    "Source": "",
    "Issues": "/issues",
}


def page(readme: str, address: str) -> str:
    """Return the README as it is shown outside the repository."""
    if not address:
        return _LINK.sub(r"\1", _PICTURE.sub("", readme))
    pictures = _PICTURE.sub(lambda found: found[0].replace(found[1], f"{address}/raw/main/{found[1]}"), readme)
    return _LINK.sub(rf"[\1]({address}/blob/main/\2)", pictures)


class PackagePage(MetadataHookInterface):
    """Fills in `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add both to the metadata of a build."""
        address = os.environ.get("REGIME_PROJECT_URL", "").rstrip("/")
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": page(readme, address)}
        metadata["urls"] = {name: address + path for name, path in _PLACES.items() if address}
