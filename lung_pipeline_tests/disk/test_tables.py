# SPDX-License-Identifier: Apache-2.0
"""Tables come back as they were written, with what made them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.errors import StoreError
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table

ORIGIN = {"settings": {"seed": 1}, "sources": ["a", "b"], "version": "0.1"}


def _table() -> pd.DataFrame:
    columns = {
        "series_uid": pd.array(["1.2", "1.3", "é"], dtype="str"),
        "x_mm": [0.1, float("nan"), -3.0],
        "is_malignant": pd.array([True, None, False], dtype="boolean"),
        "count": [1, 2, 3],
    }
    return pd.DataFrame(columns)


def test_values_types_and_origin_come_back(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "t.parquet"
    write_table(_table(), path, ORIGIN)
    pd.testing.assert_frame_equal(read_table(path), _table())
    assert read_origin(path) == ORIGIN
    assert [p.name for p in path.parent.iterdir()] == ["t.parquet"]


def test_some_columns_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    write_table(_table(), tmp_path / "t.parquet", {})
    assert list(read_table(tmp_path / "t.parquet", ["count", "x_mm"])) == ["count", "x_mm"]


def test_an_empty_table_keeps_its_columns_and_types(tmp_path: Path) -> None:
    write_table(_table().iloc[:0], tmp_path / "t.parquet", ORIGIN)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), _table().iloc[:0])


def test_the_index_is_not_kept(tmp_path: Path) -> None:
    shuffled = _table().iloc[[2, 0, 1]]
    written = write_table(shuffled, tmp_path / "t.parquet", ORIGIN)
    assert written == fingerprint(shuffled.reset_index(drop=True), ORIGIN)
    assert list(read_table(tmp_path / "t.parquet").index) == [0, 1, 2]


def test_a_rewrite_of_the_same_keeps_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    first = write_table(_table(), path, ORIGIN)
    assert len(first) == 16
    assert write_table(read_table(path), path, dict(reversed(ORIGIN.items()))) == first


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(0, "series_uid", "1.20"), (0, "x_mm", 0.1 + 1e-12), (1, "is_malignant", False)],
)
def test_each_changed_value_changes_the_fingerprint(row: int, column: str, value: object) -> None:
    changed = _table()
    changed.loc[row, column] = value
    assert fingerprint(changed, ORIGIN) != fingerprint(_table(), ORIGIN)


def test_order_of_rows_names_of_columns_and_origin_change_the_fingerprint() -> None:
    table = _table()
    variants = [
        fingerprint(table, ORIGIN),
        fingerprint(table.iloc[::-1], ORIGIN),
        fingerprint(table.rename(columns={"count": "number"}), ORIGIN),
        fingerprint(table, {**ORIGIN, "version": "0.2"}),
        fingerprint(table.iloc[:2], ORIGIN),
    ]
    assert len(set(variants)) == len(variants)


def test_a_write_that_raises_leaves_the_former_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(_table(), path, ORIGIN)
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_table(_table().iloc[:1], path, {"not json": object()})
    assert len(read_table(path)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize("read", [read_table, read_origin])
def test_an_absent_table_is_named_with_its_cure(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreError) as told:
        read(tmp_path / "none.parquet")
    assert told.value.place == str(tmp_path / "none.parquet")
    assert told.value.value == "no file"
    assert "Materialize" in told.value.cure


@pytest.mark.parametrize("read", [read_table, read_origin])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_table_is_refused(tmp_path: Path, read, share: float) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "t.parquet"
    write_table(_table(), path, ORIGIN)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError, match="a whole Parquet table"):
        read(path)


def test_a_parquet_file_of_others_has_no_origin(tmp_path: Path) -> None:
    _table().to_parquet(tmp_path / "theirs.parquet")
    assert read_origin(tmp_path / "theirs.parquet") == {}
