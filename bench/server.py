"""Sends the messages of a file over a WebSocket as fast as the socket takes them: ``python -m bench.server FILE``.

Prints the port. All frames are made before the first client comes, so that sending costs next to nothing beside receiving.
The first client of the public path is sent everything once it has said anything; any other connection is held open, silent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys
from pathlib import Path

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  #: RFC 6455, section 1.3
CHUNK = 256 * 1024  #: bytes per write
PATH = "/ws/v5/public"


def framed(message: bytes) -> bytes:
    """One unmasked text frame (RFC 6455, section 5.2)."""
    size = len(message)
    if size < 126:
        return bytes((0x81, size)) + message
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + message
    return b"\x81\x7f" + size.to_bytes(8, "big") + message


def chunks(path: Path) -> list[bytes]:
    """The whole file as frames, joined to pieces of about CHUNK bytes."""
    done: list[bytes] = []
    piece = bytearray()
    for line in path.read_bytes().splitlines():
        piece += framed(line)
        if len(piece) >= CHUNK:
            done.append(bytes(piece))
            piece.clear()
    return [*done, bytes(piece)]


class Sender:
    """One listening socket; serves its file to the first client that asks for the public path."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces, self._sent = pieces, False

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
            key = next((value for name, value in headers.items() if name.lower() == b"sec-websocket-key"), b"")
            if not key:  # a list of instruments, or the like
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
            accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
            writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            if request.split()[1].decode().split("?")[0] == PATH and not self._sent:
                self._sent = True
                await reader.read(1)  # the subscription
                for piece in self._pieces:
                    writer.write(piece)
                    await writer.drain()
            while await reader.read(65_536):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the contender has seen enough
        finally:
            writer.close()


async def serve(path: Path) -> None:
    server = await asyncio.start_server(Sender(chunks(path)).client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # ends with its owner


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
