"""Binary arrays of every kind against the values that PostgreSQL was given."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest

from regime_pipeline.storage.bulk.columns import NO_TIME
from regime_pipeline.storage.bulk.copy_format import register_array_loaders


@pytest.fixture
def cursor(each_postgres_url):
    with psycopg.connect(each_postgres_url) as connection:
        register_array_loaders(connection)
        yield connection.cursor(binary=True)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ("'{1.5,-0,NaN,Infinity}'::float8[]", np.array([1.5, -0.0, np.nan, np.inf])),
        ("'{1.5,1e-30}'::float4[]", np.array([1.5, 1e-30], dtype=np.float32)),
        ("'{-9223372036854775808,7}'::int8[]", np.array([-(2**63), 7], dtype=np.int64)),
        ("'{-3,7}'::int4[]", np.array([-3, 7], dtype=np.int32)),
        ("'{-3,7}'::int2[]", np.array([-3, 7], dtype=np.int16)),
        ("'{true,false}'::bool[]", np.array([True, False])),
        ("'{}'::float8[]", np.array([])),
        ("'{{1,2,3},{4,5,6}}'::int4[]", np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32)),
        (
            "'{1970-01-01 00:00:00.123+00,2024-02-29 12:00:00+00,-infinity}'::timestamptz[]",
            np.array([123, 1_709_208_000_000, NO_TIME]),
        ),
    ],
)
def test_arrays_arrive_as_numpy(cursor, array, expected):
    found = cursor.execute(f"SELECT {array}").fetchone()[0]
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def test_an_absent_array_is_none_and_texts_stay_lists(cursor):
    assert cursor.execute("SELECT NULL::float8[], '{a,é}'::text[]").fetchone() == (None, ["a", "é"])
