"""What the memory consists of follows what is held and given back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dope import heap

SIZE = 64 << 20


def test_what_is_held_is_counted_where_it_is_held_and_no_longer_when_it_is_given_back() -> None:
    before = heap.parts()
    block = np.ones(SIZE, dtype=np.uint8)
    table = pa.array(block)
    table = pa.concat_arrays([table, table])
    objects = [object() for _ in range(200_000)]
    held = heap.parts()
    assert held["objects"] - before["objects"] >= len(objects)
    assert held["arrow"] - before["arrow"] >= 2 * SIZE
    assert not before["used"] or held["used"] - before["used"] >= block.nbytes
    del block, table, objects
    after = heap.parts()
    assert after["arrow"] < held["arrow"] - SIZE and after["objects"] < held["objects"] - 100_000
    assert not before["used"] or after["used"] < held["used"] - SIZE // 2
