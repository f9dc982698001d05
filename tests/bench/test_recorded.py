"""The table of recorded streams is made, or says why not."""

from __future__ import annotations

from bench import recorded


def test_it_tells_each_recording_or_that_there_are_none() -> None:
    lines = list(recorded.lines())
    if not recorded.DATA_FOLDER.is_dir():
        assert "left out" in lines[0]
        return
    assert len(lines) >= 3 and all(line.split()[1].replace(",", "").isdigit() for line in lines[1:])
