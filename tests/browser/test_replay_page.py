"""Replay as a person uses it on the real program: the whole page changes over and back, and nothing replayed looks live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from dope.board import Board
from dope.care.archive import make_bundle
from dope.dashboard import pages, replay, shell
from tests.program import PATIENCE_S, Program, line_of, until
from tests.test_replays import Recorded

pytestmark = pytest.mark.browser
MS = PATIENCE_S * 1000
THERE = "DOPE.state.replay && DOPE.state.replay.ready && !DOPE.link.foreign && !DOPE.state.replay.seeking"
LIVE = "DOPE.link.status === 'live' && !DOPE.replaying() && DOPE.state.instruments.size > 0"
FORGET = """async () => {
  for (const row of await DOPE.replay.call('GET', 'replays')) await DOPE.replay.call('DELETE', 'replays/' + row.id, {});
}"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def program(recorded: Recorded) -> Iterator[Program]:
    folder = recorded.settings.data_dir.parent
    with Program(folder, "--source", "sim", writes_per_s=1000, costly_per_min=6000) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def page(program: Program, again: Callable[..., Any]) -> Iterator[Any]:
    opened = again(program, "replay")
    opened.set_default_timeout(MS)
    opened.wait_for_function(LIVE)
    yield opened
    opened.evaluate("DOPE.replay.live()")
    opened.wait_for_function(LIVE)
    opened.evaluate(FORGET)


def iso(recorded: Recorded, after_ms: int = 0) -> str:
    return str(recorded.all_live // 1_000_000 + after_ms)


def play(page: Any, recorded: Recorded, **args: Any) -> str:
    """Show the recording as a link of the page would; the id of the replay."""
    page.evaluate("(body) => DOPE.replay.create(body)", {"tape": recorded.path.name, "from": recorded.all_live // 1_000_000, **args})
    page.wait_for_function(THERE)
    return str(page.evaluate("DOPE.link.stream"))


def standing(program: Program, number: str) -> dict[str, Any]:
    found: dict[str, Any] = program.get(f"/api/v1/replays/{number}").json()
    return found


def is_violet(page: Any) -> bool:
    return bool(page.evaluate("document.getElementById('dope-app').dataset.mode === 'replay'"))


def test_a_click_on_a_recording_turns_the_whole_page_into_that_replay_and_back(page: Any, program: Program, recorded: Recorded) -> None:
    assert not is_violet(page) and page.is_hidden('[data-test="back-live-top"]') and page.is_hidden('[data-test="replay-shown"]')
    page.wait_for_selector('[data-test="recording-block"]')
    before = page.evaluate("getComputedStyle(document.querySelector('.top')).borderBottomColor")
    page.locator("#recordings-rows tr", has_text=re.compile("closed")).first.locator('[data-test="recording-play"]').click()
    page.wait_for_function(THERE)
    number = page.evaluate("DOPE.link.stream")
    assert is_violet(page) and page.evaluate("getComputedStyle(document.querySelector('.top')).borderBottomColor") != before
    assert standing(program, number)["tapes"] == [recorded.path.name]
    for path in ("live", "predict", "backtest", "replay"):
        page.click(f"#rail-{path}")
        assert re.match(r"REPLAY (×1|PAUSED|END) 20\d\d-", page.text_content('[data-test="banner-replay"] span')), path
        assert "not live" in page.text_content('[data-test="banner-replay"] span') and "simulated" in page.text_content(
            '[data-test="banner-replay"] span'
        )
        assert page.text_content('[data-test="mode"]').startswith("REPLAY") and page.is_visible('[data-test="back-live-top"]')
        assert page.title().startswith("REPLAY · ")
    assert "not recording: this is a replay" in page.text_content('[data-test="st-rec"]')
    assert program.live()["mode"]["source"] == "sim", "the live board knows nothing of it"
    page.click("#rail-live")
    shown = page.evaluate("[...DOPE.state.instruments.values()].map((i) => i.since)")
    assert shown and max(shown) <= page.evaluate("DOPE.state.replay.to")
    page.click('[data-test="back-live-top"]')
    page.wait_for_function(LIVE)
    page.wait_for_function("!document.getElementById('dope-app').dataset.mode")
    assert page.text_content('[data-test="mode"]') == "SIMULATED" and not page.title().startswith("REPLAY")
    assert page.evaluate("DOPE.state.replay === undefined && DOPE.state.instruments.size === 12")
    until(lambda: standing(program, number)["state"] in ("paused", "ended"), "it stands still when nobody is there")
    assert page.complaints == []


def test_its_buttons_keys_and_bar_do_what_they_say(page: Any, program: Program, recorded: Recorded) -> None:
    number = play(page, recorded, start=False)
    at_start = standing(program, number)
    assert page.text_content('[data-test="replay-state"]') == "ready"
    page.keyboard.press("Space")
    page.wait_for_function("['running', 'ended'].includes(DOPE.state.replay.state)")
    page.click('[data-test="replay-start"]')
    page.wait_for_function(f"{THERE} && DOPE.state.replay.position - DOPE.state.replay.from < 900")
    page.evaluate("DOPE.replay.press('pause')")
    until(lambda: standing(program, number)["state"] == "paused", "a pause")
    page.click('[data-test="replay-speed-20"]')
    page.wait_for_function("document.querySelector('[data-test=\"replay-speed-20\"]').classList.contains('on')")
    half = "(r) => { r.value = 500; r.dispatchEvent(new Event('input')); r.dispatchEvent(new Event('change')); }"
    page.eval_on_selector('[data-test="replay-seek"]', half)
    middle = (at_start["from_ms"] + at_start["to_ms"]) // 2
    at = until(
        lambda: (s := standing(program, number))["position_ms"] and abs(s["position_ms"] - middle) < 5 and not s["seeking"] and s,
        "the middle",
    )
    for key, sign in ((".", 1), (",", -1)):
        page.keyboard.press(key)
        then = until(
            lambda at=at, sign=sign: (
                (s := standing(program, number)) and (s["frames"] - at["frames"]) * sign > 0 and not s["seeking"] and s
            ),
            key,
        )
        at = then
    page.wait_for_function(f"DOPE.state.replay.frames === {at['frames']}")
    shown = page.text_content('[data-test="replay-facts"]')
    assert f"{at['frames_total']:,}".replace(",", "\u2009") in shown and at["digest"][:16] in shown
    page.click('[data-test="replay-stop"]')
    page.wait_for_function("DOPE.state.replay.alive === false")
    assert page.text_content('[data-test="replay-said"]') == "stopped on request" and page.is_disabled('[data-test="replay-play"]')
    assert page.complaints == []


def test_a_link_opens_the_moment_at_its_speed_and_a_reload_stays_in_the_replay(
    program: Program, recorded: Recorded, visit: Callable[..., Any]
) -> None:
    page = visit(program, f"/replay?at={iso(recorded, 300)}&x=0.25&tour=0")
    page.set_default_timeout(MS)
    page.wait_for_function(THERE)
    number = page.evaluate("DOPE.link.stream")
    row = standing(program, number)
    assert row["speed"] == 0.25 and row["position_ms"] >= int(iso(recorded, 300)) and row["tapes"] == [recorded.path.name]
    assert "at=" not in page.url
    page.evaluate("DOPE.replay.press('pause')")
    assert re.search(r"/replay\?replay=20\d\d-\d\d-\d\dT[\d:]{8}Z&x=0.25$", page.evaluate("DOPE.link_to_view()"))
    page.reload()
    page.wait_for_function(f"window.DOPE && {THERE}")
    assert page.evaluate("DOPE.link.stream") == number and is_violet(page)
    page.click('[data-test="back-live-page"]')
    page.wait_for_function(LIVE)
    page.goto(program.url + "/?replay=2099-01-01T00:00:00Z&x=5&tour=0")
    page.wait_for_function(f"window.DOPE && {LIVE}")
    assert "nothing was recorded then or later" in page.text_content("#toasts") and not is_violet(page)


def test_a_bundle_that_lies_ready_is_played_and_says_whether_it_came_to_its_digest(page: Any, recorded: Recorded) -> None:
    folder = recorded.settings.data_dir / "bundles"
    folder.mkdir()
    make_bundle(folder / "carried.zip", recorded.paths, recorded.settings, {"digest": recorded.digest})
    page.click('[data-act="recordings-reload"]')
    page.click('[data-test="bundle-play"]')
    page.wait_for_function(THERE)
    assert page.text_content("#replay-transport-note") == "bundle carried.zip" and is_violet(page)
    page.click('[data-test="replay-speed-max"]')
    page.wait_for_function("document.querySelector('[data-test=\"replay-facts\"]').textContent.includes('as bundled')")
    assert f"{recorded.digest[:16]}… as bundled" in page.text_content('[data-test="replay-facts"]')
    assert page.complaints == []


def test_nothing_that_acts_on_the_live_market_can_be_done_from_a_replay(page: Any, program: Program, recorded: Recorded) -> None:
    play(page, recorded, start=False)
    refusals = page.evaluate(
        "Promise.all(['train', 'set', 'backtest', 'source', 'reconnect'].map((n) => DOPE.ask(n, {}).then(() => n, (e) => e.message)))"
    )
    assert set(refusals) == {"this acts on the live market: go back to live first"}
    page.keyboard.press("e")
    assert page.evaluate("!document.getElementById('export').open") and "Exports hold the live market" in page.text_content("#toasts")
    page.click("#rail-predict")
    assert page.is_hidden("#retrain") and page.is_visible("#page-predict .covered")
    page.click("#page-predict .covered button")
    page.wait_for_function(LIVE)
    asked = [job for job in program.get("/api/v1/jobs").json() if job["kind"] != "train"]  # one training begins by itself
    assert page.is_visible("#retrain") and asked == [] and program.live()["mode"]["source"] == "sim"


def test_one_whose_process_is_killed_says_so_and_shows_no_market(page: Any, program: Program, recorded: Recorded) -> None:
    play(page, recorded, start=False)
    (worker,) = [child for child in program.children() if "dope.projector" in line_of(child)]
    psutil.Process(worker.pid).kill()
    page.wait_for_function("DOPE.state.replay.state === 'failed' && [...DOPE.state.instruments.values()].every((i) => i.state === 'DOWN')")
    page.wait_for_function("document.querySelector('[data-test=\"banner-replay\"] span').textContent.startsWith('REPLAY FAILED at')")
    assert "signal 9" in page.text_content('[data-test="banner-replay"] span') and is_violet(page)
    assert page.text_content('[data-test="replay-state"]') == "failed"
    page.click('[data-test="banner-replay"] button')
    page.wait_for_function(LIVE)
    assert page.complaints == []


@pytest.mark.parametrize(("answer", "seen"), [([], "Nothing has been recorded yet"), (None, "The recordings cannot be listed")])
def test_without_recordings_it_says_why(program: Program, visit: Callable[..., Any], answer: Any, seen: str) -> None:
    page = visit(program, "/?tour=0")
    page.route(
        "**/api/v1/recordings",
        lambda route: route.fulfill(json=answer) if answer is not None else route.fulfill(status=503, json={"error": "no disk"}),
    )
    page.click("#rail-replay")
    page.wait_for_function(f"document.getElementById('recordings-card').innerText.includes('{seen}')", timeout=MS)
    if answer is not None:
        assert page.text_content('[data-test="recordings-why"]').startswith("This run is being recorded")


def test_every_page_but_those_that_show_the_stream_is_covered() -> None:
    frame = shell.layout(pages())
    holders = {page.ID: frame[f"page-{page.ID}"] for page in pages()}
    open_ones = {name for name, holder in holders.items() if "data-replays" in holder.to_plotly_json()["props"]}
    assert open_ones == {"live", "replay", "venues"}
    assert replay.draw(Board().read()) == {}
