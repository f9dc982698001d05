"""How the symbols of a venue are spread over its connections: as few as there is room in, and which symbols find none."""

from __future__ import annotations

from collections.abc import Sequence

Shards = list[list[str]]  #: of one kind of connection: the symbols of each one


def spread(
    wanted: Sequence[tuple[str, Sequence[int]]], *, kinds: int, topics: int, sockets: int, spare: int
) -> tuple[list[Shards], tuple[str, ...]]:
    """(shards of each kind, symbols left out). ``wanted``: each symbol with its number of topics on each kind of connection.

    A connection holds ``topics``, all kinds together are at most ``sockets``. Where that is not enough, each symbol does without
    ``spare`` of its topics; where it still is not, the last symbols are left out, of all kinds.
    """
    shards: list[Shards] = []
    left_out: list[str] = []
    for without in range(spare + 1):
        shards, room, left_out = [[] for _ in range(kinds)], [0] * kinds, [symbol for symbol, _ in wanted]
        for symbol, all_of_it in wanted:
            counts = [max(0, count - without) for count in all_of_it]
            opens = [bool(count) and (not shards[kind] or room[kind] < count) for kind, count in enumerate(counts)]
            if sum(opens) + sum(map(len, shards)) > sockets:
                break
            for kind, count in enumerate(counts):
                if opens[kind]:
                    shards[kind].append([])
                    room[kind] = topics
                if count:
                    shards[kind][-1].append(symbol)
                    room[kind] -= count
            left_out = left_out[1:]
        if not left_out:
            break
    return shards, tuple(left_out)
