"""The sum under the lead-lag contrast: products of the changes of two series whose intervals overlap, for a row of lags at once."""

from __future__ import annotations

import numpy as np

from dope.market.compiled import released


@released
def overlap_sums(tx: np.ndarray, dx: np.ndarray, ty: np.ndarray, dy: np.ndarray, first: int, step: int, count: int) -> np.ndarray:
    """U(first + k·step) for k < ``count``: the sum of dx[i]·dy[j] over all i, j whose intervals overlap when y is moved back by the lag.

    Times are int64, ascending, in any one unit; dx[i] is the change over (tx[i−1], tx[i]], dx[0] counts nothing, likewise y.
    (a, b] and (c, d] overlap when d > a and c < b, so a pair counts for the lags from its own first to its own last: it is
    entered at both ends, and one pass over the lags adds up. The work is one step per pair within reach, not per lag.
    """
    ends = np.zeros(count + 1)
    last = first + step * (count - 1)
    begin = 1
    for i in range(1, len(tx)):
        reach = tx[i - 1] + first
        while begin < len(ty) and ty[begin] <= reach:
            begin += 1
        if dx[i] == 0.0:
            continue
        j, far = begin, tx[i] + last
        while j < len(ty) and ty[j - 1] < far:
            if dy[j] != 0.0:
                k = max((ty[j - 1] - tx[i] - first) // step + 1, 0)
                end = min(-((first + tx[i - 1] - ty[j]) // step), count)
                if k < end:
                    product = dx[i] * dy[j]
                    ends[k] += product
                    ends[end] -= product
            j += 1
    return np.cumsum(ends[:count])
