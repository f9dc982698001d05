"""Every table has its time and symbol, says what each column means, and goes through a Parquet file unchanged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dope.tables import SORTED_BY, TABLES


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_order_columns_and_explains_each_column(name: str) -> None:
    schema = TABLES[name]
    assert set(SORTED_BY) <= set(schema.names)
    assert all(field.metadata and field.metadata[b"help"] for field in schema)


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_keeps_its_columns_through_parquet(name: str, tmp_path: Path) -> None:
    pq.write_table(TABLES[name].empty_table(), tmp_path / "t.parquet")
    read = pq.read_table(tmp_path / "t.parquet")
    assert read.schema.names == TABLES[name].names
    assert [pa.types.is_dictionary(f.type) or f.type == TABLES[name].field(f.name).type for f in read.schema] == [True] * len(read.schema)
