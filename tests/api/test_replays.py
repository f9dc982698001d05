"""Replays over the real web server: created, pressed, watched on a stream of their own, and refused in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from dope.board import Command
from dope.care.archive import make_bundle
from dope.feed.clock import Clock
from dope.recordings import bundles, calendar
from dope.replay import replay, summary
from dope.replays import AT_ONCE, Replays
from dope.settings import Settings
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from dope.types import TICK, Frame
from tests.api.house import Browser, House, serving
from tests.api.publisher import Publisher
from tests.frames import T0, okx_script, play
from tests.program import until

HOUR = 3600 * 10**9
STARTED = "2023-11-14T22:13:20.000Z"


class Playing(Publisher):
    """A publisher of the live market beside which recordings are played."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.replays = Replays(Settings(data_dir=folder, _env_file=None), Clock())
        self.folder = folder
        self.board.serve(self._carry_out, self._find)

    def _carry_out(self, number: int, command: Command) -> None:
        self.replays.wish(number, command.args)

    def _find(self, kind: str, symbol: str, start: int, end: int, *, limit: int = 0, source: str = "") -> Any:
        known = {
            "recordings": lambda: calendar(self.folder),
            "bundles": lambda: bundles(self.folder),
            "replays": lambda: self.replays.statuses(symbol),
            "replay_board": lambda: self.replays.board(symbol),
        }
        return known[kind]() if kind in known else self._answer(kind, symbol, start, end)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("data")
    script = play("okx", okx_script())
    ticks = [Frame(script[-1].ts + n * 100_000_000, "", 0, TICK, b"0") for n in range(1, 36_000, 100)]
    (folder / "live").mkdir()
    write_tape(folder / "live" / "hour.dope", Meta("live", 1, venues=("okx",), session="hour"), [*script, *ticks])
    (folder / "live" / "broken.dope").write_text("no tape")
    put_bundles(folder / "bundles", play("okx", okx_script()), folder.parent)
    playing = Playing(folder)
    with serving(playing, costly_per_min=6000, writes_per_s=1000) as running:
        yield running
    playing.replays.close()


def put_bundles(folder: Path, frames: list[Frame], elsewhere: Path) -> None:
    """One that is sound, made with rules of its own; one with a damaged byte; one that is none."""
    folder.mkdir()
    write_tape(elsewhere / "carried.dope", Meta("live", 1, venues=("okx",), session="carried"), frames)
    rules = Settings(_env_file=None, order_size=4321.0, min_net_bps=3.0)
    seen = summary(*asyncio.run(replay([elsewhere / "carried.dope"], rules)))
    made = folder / "carried.zip"
    make_bundle(made, [elsewhere / "carried.dope"], rules, seen)
    damaged = bytearray(made.read_bytes())
    damaged[damaged.index(b"DOPETAPE") + 400] ^= 1
    (folder / "damaged.zip").write_bytes(damaged)
    other = summary(*asyncio.run(replay([elsewhere / "carried.dope"], rules))) | {"digest": "0" * 64}
    make_bundle(folder / "other.zip", [elsewhere / "carried.dope"], rules, other)
    (folder / "none.zip").write_text("no bundle")


@pytest.fixture(autouse=True)
def nothing_left(house: House) -> Iterator[None]:
    yield
    for row in house.get("/api/v1/replays").json():
        assert house.client.request("DELETE", f"/api/v1/replays/{row['id']}", json={}).status_code == 204


def post(house: House, path: str, **body: Any) -> Any:
    return house.client.post(f"/api/v1/replays{path}", json=body)


def standing(house: House, number: int) -> dict[str, Any]:
    found: dict[str, Any] = house.get(f"/api/v1/replays/{number}").json()
    return found


def test_the_calendar_tells_every_recording_with_units_and_what_cannot_be_read(house: House) -> None:
    rows = {row["name"]: row for row in house.get("/api/v1/recordings").json()}
    assert rows["hour.dope"]["first"] == STARTED and rows["hour.dope"]["first_ms"] == T0 // 1_000_000
    assert (rows["hour.dope"]["complete"], rows["hour.dope"]["sealed"], rows["hour.dope"]["gaps"]) == (True, False, [])
    assert "broken.dope" in rows["broken.dope"]["error"] and rows["broken.dope"]["first"] is None


def test_a_recording_is_played_sought_paused_and_stopped(house: House) -> None:
    answer = post(house, "", tape="hour.dope", speed="max")
    assert answer.status_code == 201, answer.text
    born = answer.json()
    assert (born["tapes"], born["source"], born["speed"], born["from"]) == (["hour.dope"], "live", "max", STARTED)
    number = born["id"]
    ended = until(lambda: (row := standing(house, number))["state"] == "ended" and row, "its end")
    assert ended["alive"] and ended["frames"] == ended["frames_total"] and len(ended["digest"]) == 64
    assert post(house, f"/{number}/seek", to="2023-11-14T22:43:20Z").status_code == 202
    there = until(lambda: (row := standing(house, number))["state"] == "paused" and not row["seeking"] and row, "half an hour")
    assert there["position"] == "2023-11-14T22:43:20.000Z" and there["position_ns"] == T0 + HOUR // 2
    assert post(house, f"/{number}/speed", speed=5).status_code == 202
    assert post(house, f"/{number}/resume").status_code == 202
    until(lambda: (row := standing(house, number))["state"] == "running" and row["position_ms"] > there["position_ms"], "time")
    assert post(house, f"/{number}/pause").status_code == 202
    until(lambda: standing(house, number)["state"] == "paused", "a pause")
    assert post(house, f"/{number}/seek", to=STARTED).status_code == post(house, f"/{number}/step").status_code == 202
    until(lambda: standing(house, number)["frames"] == 2, "one more event")
    assert post(house, f"/{number}/stop").status_code == 202
    over = until(lambda: not (row := standing(house, number))["alive"] and row, "its end")
    assert (over["state"], over["reason"]) == ("ended", "stopped on request")
    refused = post(house, f"/{number}/resume")
    assert refused.status_code == 409 and refused.json()["error"] == "this replay is over: stopped on request"


def test_a_moment_alone_says_which_recording_is_meant(house: House) -> None:
    born = post(house, "", **{"from": "2023-11-14T23:00:00Z", "start": False, "loop": {"a": STARTED, "b": "2023-11-14T22:14:00Z"}}).json()
    assert born["tapes"] == ["hour.dope"] and born["loop"] == [T0 // 1_000_000, T0 // 1_000_000 + 40_000]
    ready = until(lambda: (row := standing(house, born["id"]))["ready"] and not row["seeking"] and row, "its beginning")
    assert (ready["position"], ready["state"]) == ("2023-11-14T23:00:00.000Z", "created")
    assert post(house, f"/{born['id']}/loop", loop=None).status_code == 202
    until(lambda: standing(house, born["id"])["loop"] is None, "no loop")


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("", {"tape": "hours.dope"}, 404, "unknown recording 'hours.dope'"),
        ("", {"from": "2099-01-01"}, 409, "nothing was recorded then or later"),
        ("", {}, 422, "which recording is meant?"),
        ("", {"tape": "hour.dope", "speed": 0}, 422, "greater than or equal to 0.1"),
        ("", {"tape": "hour.dope", "speeed": 1}, 422, "Extra inputs"),
        ("", {"tape": "../hour.dope"}, 422, "name of a tape"),
        ("", {"from": "yesterday"}, 422, "from is no time"),
        ("", {"tape": "hour.dope", "loop": {"a": 5, "b": 5}}, 422, "a loop must end behind its beginning"),
        ("", {"bundle": "carry.zip"}, 404, "unknown bundle 'carry.zip'"),
        ("", {"bundle": "none.zip"}, 409, "none.zip: not a readable bundle"),
        ("", {"bundle": "carried.zip", "tape": "hour.dope"}, 422, "a bundle is played alone"),
        ("/99999/pause", {}, 404, "unknown replay '99999'"),
        ("/99999/dance", {}, 422, "'start', 'pause'"),
        ("/0/pause", {}, 422, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_plain_words(house: House, path: str, body: dict[str, Any], status: int, error: str) -> None:
    answer = post(house, path, **body)
    assert answer.status_code == status and error in answer.json()["error"], answer.text


def test_a_bundle_is_played_by_the_rules_it_was_made_with_and_comes_to_the_digest_it_was_made_with(house: House) -> None:
    rows = {row["name"]: row for row in house.get("/api/v1/bundles").json()}
    assert rows["carried.zip"]["tapes"] == ["carried.dope"] and rows["carried.zip"]["bytes"] > 0 and not rows["carried.zip"]["error"]
    assert rows["none.zip"]["tapes"] == [] and "not a readable bundle" in rows["none.zip"]["error"]
    before = set(Path(gettempdir()).glob("dope-bundle-*"))
    answer = post(house, "", bundle="carried.zip", speed="max")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["bundle"], answer.json()["tapes"], answer.json()["from"]) == ("carried.zip", ["carried.dope"], None)
    number = answer.json()["id"]
    ended = until(lambda: (row := standing(house, number))["state"] == "ended" and row, "its end")
    assert ended["as_bundled"] is True and ended["source"] == "live" and ended["from_ms"] == T0 // 1_000_000
    mode = house.get(f"/api/v1/replays/{number}/live").json()["data"]["mode"]
    assert (mode["order_size"], mode["min_net_bps"]) == (4321.0, 3.0)
    post(house, f"/{number}/stop")
    until(lambda: not standing(house, number)["alive"], "its end")
    until(lambda: set(Path(gettempdir()).glob("dope-bundle-*")) <= before, "what was unpacked to be removed")


def test_a_bundle_that_comes_to_another_digest_says_so(house: House) -> None:
    number = post(house, "", bundle="other.zip", speed="max").json()["id"]
    ended = until(lambda: (row := standing(house, number))["state"] == "ended" and row, "its end")
    assert ended["as_bundled"] is False


def test_nothing_of_a_damaged_bundle_is_shown(house: House) -> None:
    number = post(house, "", bundle="damaged.zip").json()["id"]
    failed = until(lambda: (row := standing(house, number))["state"] == "failed" and row, "its refusal")
    assert "damaged.zip/tapes/carried.dope" in failed["reason"] and "checksum" in failed["reason"]
    assert not failed["ready"] and failed["frames"] == 0


def test_metrics_count_replays_by_state_and_speed_with_labels_of_closed_sets(house: House) -> None:
    def figures() -> dict[str, float]:
        lines = [line.rsplit(" ", 1) for line in house.get("/metrics").text.splitlines() if line.startswith("dope_replay")]
        return {name: float(value) for name, value in lines}

    before = figures()
    assert len([name for name in before if name.startswith("dope_replays{")]) == 20 and set(before.values()) == {0.0}
    post(house, "", tape="hour.dope", speed="max")
    post(house, "", tape="hour.dope", speed=0.25, start=False)
    post(house, "", tape="hour.dope", speed=20)
    until(lambda: figures()["dope_replay_speed_ratio"] > 0, "a measured speed")
    seen = until(lambda: (now := figures())['dope_replays{speed="max",state="ended"}'] and now, "the end of one")
    assert seen['dope_replays{speed="slower",state="created"}'] == seen['dope_replays{speed="faster",state="running"}'] == 1
    assert seen["dope_replay_processes"] == 3 and set(seen) == set(before), "no series comes with a replay"


def test_there_are_only_so_many_at_once(house: House) -> None:
    answers = [post(house, "", tape="hour.dope", start=False) for _ in range(AT_ONCE + 1)]
    assert [answer.status_code for answer in answers] == [201] * AT_ONCE + [429]
    assert "stop one of them" in answers[-1].json()["error"] and answers[-1].headers["Retry-After"]
    assert house.client.request("PATCH", "/api/v1/replays", json={}).status_code == 405


def test_its_stream_is_that_of_the_replay_and_the_live_one_stays_live(house: House) -> None:
    number = post(house, "", tape="hour.dope", speed=20).json()["id"]

    async def watch() -> tuple[Browser, Browser]:
        replayed, live = Browser(), Browser()
        async with connect(house.ws.replace("live", f"replay/{number}"), origin=house.url) as one, house.connect() as other:
            live.receive(await other.recv())
            end = time.monotonic() + 60
            while time.monotonic() < end and (replayed.state.get("replay") or {}).get("position", 0) != (T0 + 20 * 10**9) // 1_000_000:
                replayed.receive(await one.recv())
                if (replayed.state.get("replay") or {}).get("state") == "running":
                    post(house, f"/{number}/seek", to=T0 // 1_000_000 + 20_000)
                    post(house, f"/{number}/pause")
                    end = min(end, time.monotonic() + 30)
        return replayed, live

    replayed, live = asyncio.run(watch())
    assert replayed.holes == 0 and replayed.state["mode"]["source"] == "replay" and live.state["mode"]["source"] == "sim"
    assert list(replayed.state["instruments"]) and set(replayed.state["venues"]) == {"okx"}
    assert "replay" not in live.state and "pred" not in replayed.state and "jobs" not in replayed.state
    assert house.get("/api/v1/live").json()["data"]["mode"]["source"] == "sim"
    polled = house.get(f"/api/v1/replays/{number}/live")
    assert polled.json()["data"]["replay"]["id"] == number and orjson.loads(polled.content)["type"] == "snapshot"


def test_a_stream_of_no_replay_is_closed_with_its_own_code(house: House) -> None:
    async def watch() -> int:
        async with connect(house.ws.replace("live", "replay/4711"), origin=house.url) as socket:
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0
        return 0

    assert asyncio.run(watch()) == 4404
    assert house.get("/api/v1/replays/4711/live").status_code == 404
