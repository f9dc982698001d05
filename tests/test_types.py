"""The words of the house: they do not change under anybody's hands, and one instrument has one key."""

from __future__ import annotations

import msgspec
import pytest

from dope import types
from dope.types import DATA, KIND_NAMES, LAG, OPEN, SET, TICK, ClosedInfo, Frame, Instrument, OpenInfo, ReplyInfo, Trade

STRUCTS = [value for value in vars(types).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_word_is_frozen(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.frozen


def test_a_frame_refuses_to_be_changed() -> None:
    frame = Frame(1, "v", 1, DATA, b"{}")
    with pytest.raises(AttributeError):
        frame.data = b"[]"  # type: ignore[misc]


def test_every_kind_of_frame_has_a_name() -> None:
    assert [KIND_NAMES[kind] for kind in (DATA, OPEN, LAG, TICK)] == ["data", "open", "lag", "tick"]
    assert len(set(KIND_NAMES)) == len(KIND_NAMES) == SET + 1


def test_a_frame_survives_being_written_and_read() -> None:
    frame = Frame(1_763_647_387_123_456_789, "v", 3, DATA, b'{"a":"\xf0\x9f\x90\x95"}')
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame) == frame


@pytest.mark.parametrize(
    "info", [OpenInfo("spot-1", "wss://x", ("BTC-USDT",)), OpenInfo("p", "", None), ClosedInfo(1006, "cut"), ReplyInfo("k", 0, "u", 1.5)]
)
def test_what_the_feed_says_survives_json(info: msgspec.Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(info), type=type(info)) == info


def test_spot_and_perpetual_of_one_venue_have_different_keys() -> None:
    spot = Instrument("v", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot")
    perp = Instrument("v", "BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT", "perp", contract_value=0.01)
    assert (spot.key, perp.key) == ("v:BTC-USDT", "v:BTC-USDT-PERP")


def test_every_event_knows_when_it_was_received() -> None:
    events = [struct for struct in STRUCTS if issubclass(struct, types.Event)]
    assert len(events) > 8 and all(struct.__struct_fields__[0] == "ts" for struct in events)
    assert Trade(5, "v:A-B", 4, 1.0, 2.0, "buy", "t").ts == 5
