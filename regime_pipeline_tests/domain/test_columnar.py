"""Columnar rows: blank rows, codes of signs, rows found by their hour."""

import numpy as np
import pytest

from regime_pipeline.domain.columnar import code_signs, rows_at, sign_codes, spread
from regime_pipeline.domain.errors import MissingDataError
from regime_pipeline.domain.schema import Column
from regime_pipeline_tests.domain.verdicts.factories import START_MS


def test_rows_without_a_source_are_blank() -> None:
    columns = (Column("a", "float", ""), Column("b", "int", ""), Column("c", "flag", ""))
    values = {"a": [1.5, 2.5], "b": [3, 4], "c": [True, True]}

    rows = spread(columns, values, np.array([1, -1, 0]))

    assert np.array_equal(rows["a"], [2.5, np.nan, 1.5], equal_nan=True)
    assert rows["b"].tolist() == [4, 0, 3]
    assert rows["c"].tolist() == [True, False, True]


def test_signs_survive_their_codes() -> None:
    signs = np.array([0.0, 3.0, -2.0])

    assert sign_codes(signs).tolist() == [0, 1, 2]
    assert code_signs(sign_codes(signs)).tolist() == [0.0, 1.0, -1.0]


@pytest.mark.parametrize("stored", [[], [0], [0, 2], [5]])
def test_a_missing_row_is_named(stored: list[int]) -> None:
    rows = {"hour_start": START_MS + 3_600_000 * np.array(stored, dtype=np.int64)}

    with pytest.raises(MissingDataError, match=r"no row of scores for the hour 2020-09-13T0\d:00:00Z"):
        rows_at(rows, START_MS + 3_600_000 * np.array([0, 1]), "scores")


def test_rows_are_found_by_their_hour() -> None:
    hours = START_MS + 3_600_000 * np.arange(5)

    assert rows_at({"hour_start": hours}, hours[[1, 4]], "scores").tolist() == [1, 4]
    assert rows_at({"hour_start": hours[:0]}, hours[:0], "scores").tolist() == []
