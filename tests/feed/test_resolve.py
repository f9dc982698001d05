"""Name look-ups that hang or fail harm nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from dope.feed.resolve import THREADS, Resolver

HERE = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


def test_an_address_needs_no_look_up() -> None:
    def never(*_: Any, **__: Any) -> list[Any]:
        raise AssertionError("looked up")

    assert asyncio.run(Resolver(never).addresses("127.0.0.1", 80)) == [(socket.AF_INET, ("127.0.0.1", 80))]
    assert asyncio.run(Resolver(never).addresses("::1", 80)) == [(socket.AF_INET6, ("::1", 80))]


def test_each_connection_asks_anew_and_the_last_good_answer_helps_out() -> None:
    answers: list[Any] = [HERE, [(*HERE[0][:4], ("127.0.0.2", 443))], socket.gaierror(socket.EAI_AGAIN, "try again")]

    def lookup(*_: Any, **__: Any) -> list[Any]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def main() -> list[Any]:
        resolver = Resolver(lookup)
        return [(await resolver.addresses("venue.example", 443))[0][1][0] for _ in range(3)]

    assert asyncio.run(main()) == ["127.0.0.1", "127.0.0.2", "127.0.0.2"]


def test_an_unknown_name_is_told_in_words() -> None:
    def lookup(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(OSError, match=r"venue\.example is not known"):
        asyncio.run(Resolver(lookup).addresses("venue.example", 443))


@pytest.mark.kills("lookup")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_up_that_ends_without_an_answer_is_told_and_takes_no_place() -> None:
    def lookup(*_: Any, **__: Any) -> list[Any]:
        if broken:
            raise SystemExit  # the end of its thread
        return HERE

    async def main() -> list[Any]:
        nonlocal broken
        resolver = Resolver(lookup, patience_s=60.0)
        for _ in range(THREADS + 1):
            with pytest.raises(OSError, match="ended without an answer"):
                await resolver.addresses("venue.example", 443)
        broken = False
        return await resolver.addresses("venue.example", 443)

    broken = True
    assert asyncio.run(main()) == [(socket.AF_INET, ("127.0.0.1", 443))]
    for thread in threading.enumerate():
        if thread.name.startswith("lookup"):
            thread.join()  # what their ends are told with belongs to this test, not to the next


def test_hung_look_ups_keep_at_most_two_threads_and_others_use_what_they_know() -> None:
    release, asked = threading.Event(), []

    def lookup(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host == "dead.example":
            release.wait(20)
        return HERE

    async def main() -> None:
        resolver = Resolver(lookup, patience_s=0.1)
        assert await resolver.addresses("good.example", 443) == [(socket.AF_INET, ("127.0.0.1", 443))]
        dead = [resolver.addresses("dead.example", 443) for _ in range(5)]
        for outcome in await asyncio.gather(*dead, return_exceptions=True):
            assert isinstance(outcome, OSError)
        assert asked.count("dead.example") == 2
        # Both threads hang: the name that was good a moment ago still is.
        assert await resolver.addresses("good.example", 443) == [(socket.AF_INET, ("127.0.0.1", 443))]
        release.set()

    try:
        asyncio.run(main())
    finally:
        release.set()
