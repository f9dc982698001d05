"""The HTTP control of a sample world: faults, journal, scenarios and proxies, for programs of this machine and nobody else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dope.sim.control import MAX_BODY, Control
from dope.sim.kinds import KINDS, LINKS
from dope.sim.world import World
from tests.sim.recipes import PATIENCE_S, world


@asynccontextmanager
async def controlled(**options: Any) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    async with world(**{"venues": ("okx", "kraken"), "proxied": True, **options}) as (made, _):
        control = Control(made)
        url = await control.start()
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                yield made, client
        finally:
            await control.stop()


def tried(main: Callable[[World, httpx.AsyncClient], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with controlled(**options) as (made, client):
            await main(made, client)

    asyncio.run(run())


def test_a_fault_is_planted_listed_healed_and_in_the_journal() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        told = (await client.get("/faults")).json()
        kinds = {row["name"]: row for row in told["kinds"]}
        assert kinds.keys() == {*KINDS, *LINKS, "dislocation", "crash", "depeg", "jump", "burst", "halt", "resume"}
        assert all(row["sentence"] for row in kinds.values()) and told["planted"] == []
        assert kinds["depth_prune"]["venues"] == ["kraken"] and kinds["tcp_rate"]["params"]["bytes_s"] == 64_000.0

        answer = await client.post("/faults", json={"kind": "freeze", "venue": "okx"})
        assert answer.status_code == 201 and made.servers["okx"].port.frozen
        planted = answer.json()
        assert (await client.get("/faults")).json()["planted"] == [planted]
        made.advance(100)
        healed = await client.delete(f"/faults/{planted['id']}")
        assert healed.status_code == 200 and healed.json()["end_ms"] == planted["start_ms"] + 1000
        assert not made.servers["okx"].port.frozen
        again = await client.delete(f"/faults/{planted['id']}")
        assert again.status_code == 404 and f"no fault {planted['id']}" in again.json()["error"]

        jump = await client.post("/faults", json={"kind": "jump", "params": {"asset": "BTC", "bps": 50.0}})
        assert jump.status_code == 201
        journal = await client.get("/journal")
        assert journal.headers["content-type"].startswith("application/x-ndjson")
        assert [json.loads(line)["kind"] for line in journal.text.splitlines()] == [entry.kind for entry in made.journal.entries]
        assert healed.json() in [json.loads(line) for line in journal.text.splitlines()]

    tried(main)


#: what is asked → words of the refusal
IMPOSSIBLE = (
    ('{"kind": "freez", "venue": "okx"}', "did you mean freeze"), ('{"kind": "freeze", "venue": "nowhere"}', "unknown venue"),
    ('{"kind": "freeze", "venue": "okx", "at": 3}', "unknown field `at`"), ("not JSON", "malformed"), ("", "truncated"),
    ('{"kind": "gap", "venue": "okx", "symbol": "DOGE-EUR"}', "unknown market"), ('{"venue": "okx"}', "missing required field `kind`"),
    ('{"kind": "gap", "venue": "okx", "p": 7}', "p is above 0"), ('{"kind": "depth_prune", "venue": "okx"}', "cannot happen at okx"),
    ('{"kind": "tcp_eof", "venue": "okx", "params": {"way": 3}}', "must be like 'down'"),
)  # fmt: skip


def test_what_cannot_be_planted_is_refused_with_the_reason() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        for asked, why in IMPOSSIBLE:
            answer = await client.post("/faults", content=asked)
            assert answer.status_code == 422 and why in answer.json()["error"], answer.text
        assert not made.faults.active and not made.journal.entries

    tried(main)


def test_another_scenario_is_played_and_an_unknown_one_is_not() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        told = (await client.get("/scenario")).json()
        assert told["playing"] == "usual" and {"calm", "de-peg"} <= {row["id"] for row in told["rows"]}
        answer = await client.post("/scenario", json={"name": "calm"})
        assert answer.json() == {"playing": "calm", "since_ms": made.sample.now_ms} and made.scenario.id == "calm"
        wrong = await client.post("/scenario", json={"name": "clam"})
        assert wrong.status_code == 422 and "did you mean calm" in wrong.json()["error"]

    tried(main)


def test_the_faults_of_a_proxy_are_set_as_a_whole_and_are_in_the_journal() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        slow = [{"kind": "tcp_rate", "params": {"bytes_s": 64000}}, {"kind": "tcp_latency", "params": {"ms": 300, "jitter_ms": 100}}]
        answer = await client.put("/proxies/okx", json=slow)
        assert answer.status_code == 200 and [each["kind"] for each in answer.json()["planted"]] == ["tcp_rate", "tcp_latency"]
        proxy = made.servers["okx"].port.proxy
        assert proxy is not None and set(proxy.on_way["down"]) == {"tcp_rate", "tcp_latency"}
        for wrong, why in (
            ([{"kind": "tcp_stall"}, {"kind": "freeze"}], "unknown fault of a proxy"),
            ([{"kind": "tcp_stall", "venue": "kraken"}], "all of"),
            ([{"kind": "tcp_stall", "params": {"way": "out"}}], "up, down or both"), ({"kind": "tcp_stall"}, "array"),
        ):  # fmt: skip
            refused = await client.put("/proxies/okx", json=wrong)
            assert refused.status_code == 422 and why in refused.json()["error"], refused.text
        assert set(proxy.on_way["down"]) == {"tcp_rate", "tcp_latency"}, "nothing of what was refused has been done"
        told = (await client.get("/proxies")).json()
        assert told.keys() == {"okx", "kraken"} and told["okx"]["endpoints"] == made.servers["okx"].port.endpoints
        refuse = await client.put("/proxies/okx", json=[{"kind": "tcp_refuse"}])
        assert [each["kind"] for each in refuse.json()["planted"]] == ["tcp_refuse"]
        with pytest.raises(httpx.ConnectError):
            await client.get(told["okx"]["endpoints"]["rest"])
        assert (await client.put("/proxies/okx", json=[])).json()["planted"] == [] and not proxy.modes
        assert (await client.get(told["okx"]["endpoints"]["rest"])).status_code == 404
        assert [entry.kind for entry in made.journal.entries] == ["tcp_rate", "tcp_latency", "tcp_refuse"]
        assert (await client.put("/proxies/nowhere", json=[])).status_code == 404

    tried(main)


def test_without_proxies_there_are_none_to_set() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        assert (await client.get("/proxies")).json() == {}
        answer = await client.put("/proxies/okx", json=[])
        assert answer.status_code == 409 and "--proxy" in answer.json()["error"]

    tried(main, proxied=False)


def test_pages_of_a_browser_and_foreign_names_are_refused_and_so_are_large_bodies() -> None:
    async def main(made: World, client: httpx.AsyncClient) -> None:
        freeze = {"kind": "freeze", "venue": "okx"}
        for headers, status in (
            ({"Host": "rebound.example"}, 421), ({"Host": "127.0.0.1"}, 421), ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Origin": str(client.base_url)}, 403),
        ):  # fmt: skip
            assert (await client.post("/faults", json=freeze, headers=headers)).status_code == status, headers
            assert (await client.get("/journal", headers=headers)).status_code == status, headers
        large = await client.post("/faults", content=b" " * (MAX_BODY + 1))
        assert large.status_code == 413 and not made.faults.active
        assert (await client.get("/elsewhere")).status_code == 404 and (await client.post("/journal")).status_code == 405
        named = await client.post("/faults", json=freeze, headers={"Host": f"localhost:{client.base_url.port}"})
        assert named.status_code == 201

    tried(main)


def test_the_process_of_the_market_prints_the_address_of_its_control() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dope.sim", "--venues", "okx", "--control", "0", "--proxy", "--with-parent",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        endpoints = json.loads(await process.stdout.readline())
        url = json.loads(await process.stdout.readline())["control"]
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            assert (await client.get("/proxies")).json()["okx"]["endpoints"] == endpoints["okx"]
        process.stdin.close()
        assert await process.wait() == 0

    asyncio.run(main())
