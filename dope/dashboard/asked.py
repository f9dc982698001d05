"""What the dashboard library may be asked for: files that it registered, and callbacks that there are, in the form of the page.

It answers everything else with an error 500 of its own, as if the server were broken.
"""

from __future__ import annotations

from typing import Any

import orjson
from dash import Dash
from dash.fingerprint import check_fingerprint
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILES, CALLBACKS = "/_dash-component-suites/", "/_dash-update-component"


class Asked:
    """ASGI middleware around the routes of ``dash``, inside the door, which has bounded the body."""

    def __init__(self, app: ASGIApp, dash: Dash) -> None:
        self._app, self._dash = app, dash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(FILES) and not self._is_file(path.removeprefix(FILES)):
            answer = JSONResponse({"error": "there is nothing at this address", "hint": ""}, 404)
            await answer(scope, receive, send)
            return
        if scope["type"] == "http" and path == CALLBACKS and scope["method"] == "POST":
            heard = await _whole(receive)
            if heard["type"] == "http.request" and not self.is_callback(heard["body"]):
                answer = JSONResponse({"error": "there is no such callback", "hint": "reload the page"}, 400)
                await answer(scope, receive, send)
                return
            receive = _first(heard, receive)
        await self._app(scope, receive, send)

    def _is_file(self, path: str) -> bool:
        package, _, file = path.partition("/")
        return check_fingerprint(file)[0] in self._dash.registered_paths.get(package, ())

    def is_callback(self, body: bytes) -> bool:
        """Whether a body asks for a callback of ours with exactly its own inputs, states and outputs."""
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(asked, dict) or not isinstance(asked.get("output"), str):
            return False
        known = self._dash.callback_map.get(asked["output"])
        if known is None or "callback" not in known:  # those without run in the browser
            return False
        outputs = known["output"] if isinstance(known["output"], (list, tuple)) else [known["output"]]
        told = asked.get("outputs")
        inputs = _names(known["inputs"])
        changed = asked.get("changedPropIds", [])
        return (
            _names(asked.get("inputs", [])) == inputs
            and _names(asked.get("state", [])) == _names(known["state"])
            and _names(told if isinstance(told, list) else [told])
            == [(each.component_id, each.component_property) for each in outputs]
            and isinstance(changed, list)
            and all(isinstance(each, str) and tuple(each.rsplit(".", 1)) in (inputs or ()) for each in changed)
        )


def _names(parts: Any) -> list[tuple[Any, Any]] | None:
    """(id, property) of each part, None when they are no parts."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    return [(part.get("id"), part.get("property")) for part in parts]


async def _whole(receive: Receive) -> Message:
    """The whole body as one message, or the message that the client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body), "more_body": False}


def _first(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
