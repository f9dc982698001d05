"""How uvicorn has to run our app: which protocol, which bounds, which headers it must not believe."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from dope.settings import Settings

MAX_WS_MESSAGE = 64 * 1024  #: bytes of one client message; larger → close 1009
LINGER_S = 2.0  #: s that an evicted client has to take what was already written for it


class LiveProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol of uvicorn, plus one thing ASGI has no word for: cut off a client that never reads."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # absent when the handshake was refused
            self.scope["extensions"]["dope.evict"] = {"call": self.evict}  # type: ignore[index]

    def evict(self, code: int, reason: str) -> None:
        """Queue the close frame behind what waits, then cut: a peer that never reads would keep the socket for ever."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self.loop.call_later(LINGER_S, self.transport.abort)


def server_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of ``uvicorn.Config`` for ``settings``."""
    return {
        "host": settings.host,
        "port": settings.port,
        "ws": LiveProtocol,
        "ws_max_size": MAX_WS_MESSAGE,
        "ws_per_message_deflate": False,  # 15 ms of CPU per client-update against 0.04
        "proxy_headers": False,  # any local program could otherwise choose the address that it is counted under
        "server_header": False,
        "access_log": False,
        "timeout_keep_alive": 20,
        "timeout_graceful_shutdown": 3,
    }
