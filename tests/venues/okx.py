"""A session of this venue, from the sample messages that other tests use too."""

from __future__ import annotations

from dope.types import Instrument
from tests.frames import okx_script

KEY = "okx:BTC-USDT"
SYMBOLS = ("BTC-USDT",)
FOREIGN = ("ETH-USDT",)


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [(kind, text.replace(b"99.8", low.encode()).replace(b"100.7", high.encode())) for kind, text in okx_script()]


#: the two lists, cut to the fields that are read and a few that are not
LISTS = {
    "list SPOT": b'{"code":"0","data":[{"baseCcy":"BTC","ctMult":"","ctType":"","ctVal":"","ctValCcy":"","instId":"BTC-USDT",'
    b'"instType":"SPOT","lotSz":"0.00000001","minSz":"0.00001","quoteCcy":"USDT","state":"live","tickSz":"0.1"},'
    b'{"baseCcy":"OLD","ctMult":"","ctType":"","ctVal":"","ctValCcy":"","instId":"OLD-USDT",'
    b'"instType":"SPOT","lotSz":"1","minSz":"10","quoteCcy":"USDT","state":"suspend","tickSz":"0.0001"}],"msg":""}',
    "list SWAP": b'{"code":"0","data":[{"ctMult":"1","ctType":"linear","ctVal":"0.01","ctValCcy":"BTC","instId":"BTC-USDT-SWAP",'
    b'"lotSz":"0.01","minSz":"0.02","state":"live","tickSz":"0.1","uly":"BTC-USDT"},'
    b'{"ctMult":"1","ctType":"inverse","ctVal":"100","ctValCcy":"USD","instId":"BTC-USD-SWAP",'
    b'"lotSz":"0.1","minSz":"0.1","state":"live","tickSz":"0.1","uly":"BTC-USD"}],"msg":""}',
}
LISTED = (
    Instrument("okx", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot", 1.0, False, 0.1, 1e-8, 1e-5),
    Instrument("okx", "OLD-USDT", "OLD-USDT", "OLD", "USDT", "spot", 1.0, False, 0.0001, 1.0, 10.0, status="suspend"),
    Instrument("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC", "USDT", "perp", 0.01, False, 0.1, 0.0001, 0.0002),
    Instrument("okx", "BTC-USD-PERP", "BTC-USD-SWAP", "BTC", "USD", "perp", 100.0, True, 0.1, 0.0, 0.0, 10.0),
)
