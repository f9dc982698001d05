"""Whether an answer of Bybit's REST can be the book that a socket told: its touch against those we had just before and after it."""

from __future__ import annotations

from collections import deque

TOUCHES = 512  #: remembered per market
DIFFERENT = 3  #: comparisons running that end a book

Touch = tuple[int, float, float]  #: seq, bid, ask


class Comparison:
    """The newest touches of each market by native name, and how often running REST told another one.

    Touches are told each 10 ms only: one that lies in between is not known, so a single difference is no proof.
    """

    def __init__(self) -> None:
        self._touches: dict[str, deque[Touch]] = {}
        self._differed: dict[str, int] = {}

    def note(self, native: str, touch: Touch) -> None:
        """A socket told this one."""
        self._touches.setdefault(native, deque(maxlen=TOUCHES)).append(touch)

    def forget(self, native: str) -> None:
        """Another connection, or numbers begin anew."""
        self._touches.pop(native, None)
        self._differed.pop(native, None)

    def refutes(self, native: str, touch: Touch) -> bool:
        """Whether REST has told another touch than the socket so often that its book must not be used any more."""
        had, seq = self._touches.get(native), touch[0]
        if not had or seq < had[0][0]:
            return False  # from before what is remembered
        around = [had[0], *[each for each in had if each[0] <= seq]][-1:] + [each for each in had if each[0] > seq][:1]
        fits = all(min(each[side] for each in around) <= touch[side] <= max(each[side] for each in around) for side in (1, 2))
        self._differed[native] = 0 if fits else self._differed.get(native, 0) + 1
        return self._differed[native] >= DIFFERENT
