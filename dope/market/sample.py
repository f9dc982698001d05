"""Features of many books at one instant, in one compiled call: touch, change of the mid, depth in windows, imbalances, order flow."""

from __future__ import annotations

import numpy as np

from dope.market.compiled import jit
from dope.market.kernel import FPOW, N_ASK, N_BID, SCALE, depth_within, unpacked
from dope.market.lane import UNIT, in_base

# columns of a sample, then three for each window (BID_DEPTH, ASK_DEPTH, IMBALANCE within it)
NAMES = ("bid", "ask", "mid", "delta_bps", "spread_bps", "weighted_mid", "imbalance", "flow")
F_BID, F_ASK, F_MID, F_DELTA, F_SPREAD, F_WEIGHTED, F_IMBALANCE, F_FLOW = range(8)
WINDOW_NAMES = ("bid_depth", "ask_depth", "imbalance")


@jit
def sample(
    levels: np.ndarray, touch: np.ndarray, flow: np.ndarray, slots: np.ndarray, windows: np.ndarray, before: np.ndarray, out: np.ndarray
) -> None:
    """Fill ``out`` (books, columns) for these slots; ``before`` (books, 2) = mid and summed order flow at the sample before, renewed.

    ``levels``, ``touch``, ``flow`` as in ``Slots``; what is not known (a book that is not LIVE, a side without sizes) is not a number.
    """
    for k in range(slots.shape[0]):
        slot = slots[k]
        out[k] = np.nan
        bid, bid_size, ask, ask_size = flow[slot, 1], flow[slot, 2], flow[slot, 3], flow[slot, 4]
        if not (bid > 0.0 and ask > 0.0):
            before[k, 0] = np.nan
            before[k, 1] = flow[slot, 0]
            continue
        mid, total = (bid + ask) / 2.0, bid_size + ask_size
        out[k, F_BID], out[k, F_ASK], out[k, F_MID] = bid, ask, mid
        out[k, F_DELTA] = (mid / before[k, 0] - 1.0) * 1e4
        out[k, F_SPREAD] = (ask - bid) / mid * 1e4
        if total > 0.0:
            out[k, F_WEIGHTED] = (bid * ask_size + ask * bid_size) / total
            out[k, F_IMBALANCE] = (bid_size - ask_size) / total
        out[k, F_FLOW] = flow[slot, 0] - before[k, 1]
        before[k, 0], before[k, 1] = mid, flow[slot, 0]
        found = depth_within(levels[slot], windows)
        for w in range(windows.shape[0]):
            bids, asks = in_base(found[w, 0], mid, touch[slot, UNIT]), in_base(found[w, 1], mid, touch[slot, UNIT])
            at = F_FLOW + 1 + 3 * w
            out[k, at], out[k, at + 1] = bids, asks
            if bids + asks > 0.0:
                out[k, at + 2] = (bids - asks) / (bids + asks)


@jit
def depths(levels: np.ndarray, touch: np.ndarray, slots: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """``Book.depth`` of many at once: float64 (books, windows, 2), base units of bids and asks within each window of the mid.

    ``windows`` in bps, ascending: each goes on where the one before ended.
    """
    out = np.zeros((slots.shape[0], windows.shape[0], 2))
    for b in range(slots.shape[0]):
        book, unit = levels[slots[b]], touch[slots[b], UNIT]
        if book[4, N_BID] == 0 or book[4, N_ASK] == 0:
            continue
        mid = (book[0, book[4, N_BID] - 1] - book[2, book[4, N_ASK] - 1]) / 2.0
        price = mid / FPOW[book[4, SCALE]]
        for side in range(2):
            row, k = 2 * side, book[4, N_BID if side == 0 else N_ASK] - 1
            total = 0.0
            for w in range(windows.shape[0]):
                edge = (mid if side == 0 else -mid) - mid * windows[w] / 1e4
                while k >= 0 and book[row, k] >= edge:
                    total += unpacked(book[row + 1, k])
                    k -= 1
                out[b, w, side] = in_base(total, price, unit)
    return out
