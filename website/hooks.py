"""Makes of docs/ what a site needs besides: pages of notebooks, a list of decisions, what links find outside docs/.

MkDocs calls the functions that it knows by name. The pages themselves stay as code hosts show them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
_FENCE = re.compile(r"^( *```.*?^ *```)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name every decision in the navigation, newest first."""
    listed = config.nav[-1]["Decisions"]
    config.nav[-1]["Decisions"] = [listed, *(f"decisions/{path.name}" for path in _decisions())]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that docs/ does not have as Markdown, and the files outside it that its pages lead to."""
    for path in sorted(DOCS.glob("notebooks/*.ipynb")):
        _add(files, config, f"notebooks/{path.stem}.md", notebook(json.loads(path.read_text("utf-8"))))
    _add(files, config, "decisions/README.md", decisions())
    worker = Path(__file__).with_name("iframe-worker.js")
    _add(files, config, f"assets/{worker.name}", worker.read_text("utf-8"))
    outside = {target for page in DOCS.rglob("*.md") for target in targets(page) if not target.is_relative_to(DOCS)}
    for path in sorted(each for each in outside if each.is_file()):
        _add(files, config, path.relative_to(REPOSITORY).as_posix(), path.read_text("utf-8"))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Turn links as code hosts follow them into links of the site."""
    here = source_of(page.file.src_uri)
    parts = _FENCE.split(markdown)
    return "".join(
        part if number % 2 else _LINK.sub(lambda found: _in_site(found[1], here, page.file.src_uri, files), part)
        for number, part in enumerate(parts)
    )


def source_of(uri: str) -> Path:
    """Where in the repository the page of an address of the site comes from."""
    return DOCS / uri if (DOCS / uri).exists() or not (REPOSITORY / uri).exists() else REPOSITORY / uri


def targets(page: Path) -> list[Path]:
    """What the links of a page lead to, anchors left out."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return [(page.parent / link).resolve() for link in _LINK.findall(text)]


def _in_site(link: str, here: Path, uri: str, files: Files) -> str:
    """A link as the site has it: a notebook by its page, a folder by its index, what is outside docs/ by its copy."""
    target = (here.parent / link).resolve()
    if target.is_dir():
        target /= "README.md"
    if target.suffix == ".ipynb":
        target = target.with_suffix(".md")
    root = DOCS if target.is_relative_to(DOCS) else REPOSITORY
    wanted = target.relative_to(root).as_posix()
    if files.get_file_from_path(wanted) is None:
        return link  # the strict build names it
    up = "../" * uri.count("/")
    return f"{up}{wanted}"


def decisions() -> str:
    """The list of decisions, newest first, by their titles."""
    titles = [(path.read_text("utf-8").partition("\n")[0].lstrip("# "), path.name) for path in _decisions()]
    return "# Decisions\n\nWhy things are as they are.\n\n" + "".join(
        f"* [{title}]({name})\n" for title, name in titles
    )


def _decisions() -> list[Path]:
    return sorted(DOCS.glob("decisions/[0-9]*.md"), reverse=True)


def notebook(document: dict[str, Any]) -> str:
    """A notebook as Markdown: words, code, and what each cell printed or showed."""
    return "\n\n".join(_cell(cell) for cell in document["cells"]) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([f"```python\n{source}\n```", *map(_output, cell["outputs"])])


def _output(output: dict[str, Any]) -> str:
    """What a cell printed, its picture, its table, or its value."""
    shown = output.get("data", {"text/plain": output.get("text", "")})
    for kind, form in (
        ("image/png", '<img alt="What the cell draws" src="data:image/png;base64,{}">'),
        ("text/html", '<div style="overflow-x: auto" markdown="0">{}</div>'),
        ("text/plain", "```text\n{}\n```"),
    ):
        if kind in shown:
            return form.format("".join(shown[kind]).strip().replace("\n\n", "\n"))
    return ""


def _add(files: Files, config: MkDocsConfig, uri: str, content: str) -> None:
    if files.get_file_from_path(uri) is None:
        files.append(File.generated(config, uri, content=content))
