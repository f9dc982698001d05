"""A page of another site, in a real browser, against a running dashboard: it reads no byte, changes nothing, and cannot frame it.

The browser's own protections beyond the same-origin rule (local network access) are switched off: the door has to do.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dope.board import Board
from tests.browser.hostile import Guarded
from tests.browser.patience import patient

pytestmark = pytest.mark.browser

#: every way in that a script of another site has; gives what it got, by name
ATTACK = """async (target) => {
  const got = {}, wish = JSON.stringify({ name: 'set', args: { order_size: 666 } });
  const time = (ms) => new Promise((done) => setTimeout(done, ms, 'nothing came'));
  async function note(name, attempt) {
    try { got[name] = String(await Promise.race([attempt(), time(2000)])).slice(0, 200); }
    catch (error) { got[name] = 'refused: ' + error.name; }
  }
  const read = (path, options) => async () => { const a = await fetch(target + path, options); return `${a.type} ${await a.text()}`; };
  const send = (type, mode) => read('/api/v1/commands',
    { method: 'POST', mode, credentials: 'include', body: wish, headers: type ? { 'Content-Type': type } : {} });
  for (const path of ['/', '/api/v1/live', '/health', '/metrics', '/openapi.json', '/_dash-layout', '/_dash-dependencies']) {
    await note('read ' + path, read(path, { credentials: 'include' }));
    await note('no-cors ' + path, read(path, { mode: 'no-cors', credentials: 'include' }));
  }
  const form = 'application/x-www-form-urlencoded';
  const kinds = [['application/json', 'cors'], ['text/plain', 'cors'], ['text/plain', 'no-cors'], [form, 'no-cors'], ['', 'no-cors']];
  for (const [type, mode] of kinds)
    await note(`write ${type} ${mode}`, send(type, mode));
  await note('keepalive', read('/api/v1/commands', { method: 'POST', mode: 'no-cors', keepalive: true, body: wish }));
  await note('beacon', async () => { navigator.sendBeacon(target + '/api/v1/commands', wish); await time(300); return ''; });
  for (const path of ['/ws/v1/live', '/_dash-ws-callback']) await note('socket ' + path, () => new Promise((done, fail) => {
    const socket = new WebSocket(target.replace('http', 'ws') + path);
    socket.onmessage = (event) => done('DATA ' + event.data);
    socket.onopen = () => { socket.send(JSON.stringify({ type: 'resync' })); };
    socket.onerror = () => fail(new Error('closed'));
  }));
  for (const tag of ['script', 'img', 'link', 'video', 'object']) await note(tag, () => new Promise((done, fail) => {
    const node = document.createElement(tag);
    node.onload = node.onloadedmetadata = () => done(`LOADED ${node.naturalWidth || node.sheet || ''}`);
    node.onerror = () => fail(new Error('refused'));
    if (tag === 'link') node.rel = 'stylesheet';
    node[{ link: 'href', object: 'data' }[tag] || 'src'] = target + (tag === 'link' ? '/assets/10-theme.css' : '/assets/10-state.js');
    document.body.append(node);
  }));
  return got;
}"""
FORM = """([target, type, into]) => { const form = document.createElement('form');
  Object.assign(form, { method: 'POST', action: target + '/api/v1/commands', enctype: type, target: into });
  const field = document.createElement('input');
  field.name = '{"name":"set","args":{"order_size":666},"x":"'; field.value = '"}';
  form.append(field); document.body.append(form); form.submit(); }"""
PAGE = """<!DOCTYPE html><title>elsewhere</title><body><iframe name=sink></iframe>
<iframe id=box sandbox="allow-scripts allow-forms" srcdoc="<body>in a box"></iframe></body>"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A page of another site: another host name of this machine and another port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def ours() -> Iterator[Guarded]:
    with Guarded(Board()) as running:
        yield running


def came_through(got: dict[str, str]) -> dict[str, str]:
    """Attempts that got anything: a refusal, an opaque answer that shows no body, or silence is what is wanted."""
    nothing = ("", "opaque", "nothing came")
    return {name: text for name, text in got.items() if not text.startswith("refused: ") and text.strip() not in nothing}


@pytest.mark.parametrize("where", ["another site", "a sandboxed frame without an origin"])
def test_a_foreign_script_reads_nothing_and_changes_nothing(browser: Any, ours: Guarded, elsewhere: str, where: str) -> None:
    page = patient(browser.new_page())
    page.goto(elsewhere)
    frame = page if where == "another site" else next(f for f in page.frames if f.parent_frame and not f.name)
    assert frame.evaluate("self.origin") == ("null" if frame is not page else elsewhere)
    before = sum(ours.refused.values())
    got = frame.evaluate(ATTACK, ours.url)
    assert len(got) == 28 and came_through(got) == {}, got
    assert ours.refused["403"] and sum(ours.refused.values()) >= before + 20
    assert ours.market.commands == [] and ours.market.mode["order_size"] == 1000.0
    page.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("boxed", [False, True], ids=["another site", "a sandboxed frame"])
def test_a_foreign_form_changes_nothing(browser: Any, ours: Guarded, elsewhere: str, kind: str, boxed: bool) -> None:
    page = patient(browser.new_page())
    page.goto(elsewhere)
    frame = next(f for f in page.frames if f.parent_frame and not f.name) if boxed else page
    before = ours.refused["403"]
    frame.evaluate(FORM, [ours.url, kind, "_self" if boxed else "sink"])
    for _ in range(500):
        if ours.refused["403"] > before:
            break
        page.wait_for_timeout(20)
    assert ours.refused["403"] > before
    assert ours.market.commands == []
    page.close()


def test_a_foreign_page_cannot_frame_ours_nor_keep_a_hand_on_its_window(browser: Any, ours: Guarded, elsewhere: str) -> None:
    page = patient(browser.new_page())
    page.goto(elsewhere)
    for path in ("/", "/predict", "/docs", "/api/v1/live"):
        page.evaluate("(url) => { document.querySelector('iframe[name=sink]').src = url; }", ours.url + path)
        page.wait_for_timeout(250)
        framed = page.frame("sink")
        assert framed is not None and not [word for word in ("dope-app", "swagger", '"seq"') if word in framed.content()]
    with page.context.expect_page() as opened:
        page.evaluate("(url) => { window.other = window.open(url); }", ours.url + "/")
    visited = patient(opened.value)
    visited.wait_for_function("window.DOPE && DOPE.link.status === 'live'")  # a link may lead here: it shows the page to the visitor
    assert visited.evaluate("window.opener === null && window.length === 0")
    assert page.evaluate("other.closed || other.length === 0")
    visited.close()
    page.close()


def test_our_own_page_does_all_of_this(browser: Any, ours: Guarded) -> None:
    """The same script from our own origin gets through: what is refused above is refused for where it comes from."""
    page = patient(browser.new_page())
    page.goto(ours.url + "/docs")
    for _ in range(10):  # it gives each way two seconds, which may be too few on a busy machine
        got = page.evaluate(ATTACK, ours.url)
        if "nothing came" not in (got["read /api/v1/live"], got["socket /ws/v1/live"], got["write application/json cors"]):
            break
    assert got["read /api/v1/live"].startswith("basic {") and got["socket /ws/v1/live"].startswith("DATA {")
    assert json.loads(got["write application/json cors"].removeprefix("basic "))["job"] >= 1
    assert ("set", {"order_size": 666.0}) in ours.market.commands
    ours.market.commands.clear()
    page.close()
