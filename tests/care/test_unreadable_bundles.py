"""A ZIP that Python cannot unpack is no bundle, and said to be none: packed in an unknown way, or locked with a password."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dope.care.archive import MANIFEST, check_bundle, contents
from dope.errors import TapeError

METHOD, FLAGS = (8, 10), (6, 8)  #: places in the header of a member and in its entry at the end (APPNOTE 4.3.7, 4.3.12)


@pytest.mark.parametrize(("places", "value"), [(METHOD, 97), (FLAGS, 1)], ids=["packed in an unknown way", "locked with a password"])
def test_what_cannot_be_unpacked_is_refused_in_one_line(tmp_path: Path, places: tuple[int, int], value: int) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, "{}")
    data = bytearray(path.read_bytes())
    for mark, place in zip((b"PK\x03\x04", b"PK\x01\x02"), places, strict=True):
        data[data.index(mark) + place] = value
    path.write_bytes(data)
    (problem,) = check_bundle(path)
    assert "not a readable bundle" in problem.what
    with pytest.raises(TapeError, match="not a readable bundle"):
        contents(path)
