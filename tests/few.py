"""What is watched where a test does not say it: three venues and six symbols, quick, the same whatever is added, no self-test."""

PINNED = {
    "DOPE_VENUES": "binance_spot,binance_usdm,okx",
    "DOPE_SELF_TEST_S": "0",
    "DOPE_SYMBOLS": "BTC-USDT,ETH-USDT,SOL-USDT,BTC-USDT-PERP,ETH-USDT-PERP,SOL-USDT-PERP",
}
