"""What is watched where a test does not say it: three venues and six symbols, so that it is quick, and the same whatever is added."""

PINNED = {
    "DOPE_VENUES": "binance_spot,binance_usdm,okx",
    "DOPE_SYMBOLS": "BTC-USDT,ETH-USDT,SOL-USDT,BTC-USDT-PERP,ETH-USDT-PERP,SOL-USDT-PERP",
}
