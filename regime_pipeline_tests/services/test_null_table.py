"""Files of null tables: written and read back unchanged, anything else refused."""

from pathlib import Path

import pytest

from regime_pipeline.domain.errors import UsageError
from regime_pipeline.services.null_table import default_null_table, load_null_table, save_null_table


def test_a_table_survives_the_file(tmp_path: Path) -> None:
    table = default_null_table()

    save_null_table(tmp_path / "table.json", table, {"first_seed": 1})

    assert load_null_table(tmp_path / "table.json").hash == table.hash


@pytest.mark.parametrize("content", [None, "[]", "{", '{"made_for": "x", "quantiles": [1], "knots": {}}', "{}"])
def test_what_is_not_a_table_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "table.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(UsageError, match="is not a null table"):
        load_null_table(path)
