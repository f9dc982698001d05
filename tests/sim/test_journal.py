"""The journal of what was planted."""

from __future__ import annotations

import msgspec

from dope.sim.journal import Journal, Planted


def test_everything_planted_has_a_number_and_its_end_is_written_beside_its_beginning() -> None:
    lines: list[bytes] = []
    journal = Journal(kept=2, write=lines.append)
    gap = journal.note("gap", "okx", "BTC-USDT", 1_000, params={"n": 3})
    freeze = journal.note("freeze", "okx", "", 2_000)
    journal.close(freeze, 5_000)
    assert [(entry.id, entry.kind, entry.end_ms) for entry in journal.entries] == [(1, "gap", 0), (2, "freeze", 5_000)]
    written = [msgspec.json.decode(line, type=Planted) for line in lines]
    assert [(entry.id, entry.end_ms) for entry in written] == [(1, 0), (2, 0), (2, 5_000)] and written[0].params == gap.params
    journal.note("mute", "okx", "", 6_000)
    assert [entry.id for entry in journal.entries] == [2, 3], "only the newest stay in memory"
