"""What the memory consists of follows what is held and given back."""

from __future__ import annotations

import subprocess
import sys

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


#: frees all but the last of many blocks in several threads, and tells the size of the process (MiB) before and after ``trim``
FREED = """
import threading
import numpy as np, psutil
from dope import heap
kept = []
def run():
    kept.append([np.ones(100_000, dtype=np.uint8) for _ in range(600)][-1])
for _ in range(2):
    thread = threading.Thread(target=run); thread.start(); thread.join()
size = lambda: psutil.Process().memory_info().rss >> 20
before = size()
print(before, heap.trim(), size(), heap.trim())
"""


def test_free_room_between_what_is_held_is_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True).stdout.split()
    before, trimmed, after, _ = told
    assert trimmed == "True", "a machine without glibc needs another way"
    assert int(before) - int(after) > 40
