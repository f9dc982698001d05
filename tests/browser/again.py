"""A page put back as it was when it was opened: to open one anew costs seconds, this does not."""

from __future__ import annotations

from typing import Any

SIZE = {"width": 1680, "height": 1020}
#: nothing frozen, open, filtered or said; asks for the whole board again, and gives how often it has been told so far
RENEW = """() => {
  if (DOPE.paused()) DOPE.actions.pause();
  document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
  document.querySelectorAll('.pop').forEach((pop) => { pop.hidden = true; });
  document.getElementById('toasts').replaceChildren();
  document.activeElement.blur();
  DOPE.inspect(null);
  DOPE.display.reset();
  DOPE.see({ asset: '', kind: '', min: null, max: null, size: null, stale: true, text: '', route: '', matrix: 'net', chart: 'dev',
    span: 240, tape: null, pair: '', venue: '', tab: '', legs: '', hours: 1 });
  localStorage.clear();
  const told = DOPE.state.told || 0;
  DOPE.resync();
  DOPE.link.resyncs = 0;
  return told;
}"""


def watch(page: Any, url: str) -> None:
    """Gather in ``page.complaints`` the errors of its console, and requests that go to another host than ``url``."""
    own = (url, url.replace("http", "ws", 1), "data:", "blob:")

    def elsewhere(asked: Any) -> None:
        if not asked.url.startswith(own):
            page.complaints.append(f"left the host: {asked.url}")

    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", elsewhere)
    page.on("websocket", elsewhere)


def put_back(page: Any, rail: str) -> None:
    """Show the place of this name as to somebody who has just come, with the newest board."""
    told = page.evaluate(RENEW)
    page.wait_for_function(f"DOPE.state.told > {told} && DOPE.link.status === 'live'")
    page.evaluate("(id) => document.getElementById(id).click()", f"rail-{rail}")  # a real click would leave the focus there
    page.complaints.clear()
