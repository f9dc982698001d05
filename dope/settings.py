"""All settings: name, default, unit, one-line help. Precedence: command line > environment > .env > default.

Every variable is ``DOPE_<NAME>``; names that other tools already use (``PORT``, ``API_PORT``, ``LOG_LEVEL`` …) are
accepted as aliases. The table in the README is made from this model and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


#: environment form: comma-separated
Names = Annotated[tuple[str, ...], NoDecode]
Numbers = Annotated[tuple[int, ...], NoDecode]


def _alias(name: str, *others: str) -> AliasChoices:
    return AliasChoices(f"DOPE_{name}", name.lower(), *others)


class Settings(BaseSettings):
    """Read once at start on floors 4–6 and handed down as plain values."""

    model_config = SettingsConfigDict(env_prefix="DOPE_", env_file=".env", extra="ignore", populate_by_name=True)

    # what to watch
    source: Literal["auto", "live", "sim"] = Field("auto", description="auto: live venues, or the simulated market if none answers; live; sim")
    venues: Names = Field(("binance_spot", "binance_usdm", "okx"), description="venue ids to connect", validation_alias=_alias("VENUES", "exchanges"))
    symbols: Names = Field(
        ("BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP"),
        description="canonical symbols to watch at every venue that lists them",
    )
    endpoints: dict[str, dict[str, str]] = Field(default_factory=dict, description="JSON: other hosts per venue, e.g. {\"okx\":{\"ws\":\"ws://127.0.0.1:9001\"}}")
    live_timeout_s: float = Field(10.0, gt=0, description="s without any venue reached before auto starts the simulated market")

    # arbitrage
    order_size: float = Field(1000.0, gt=0, description="your own order size, quote currency")
    min_net_bps: float = Field(0.0, description="bps after fees from which an opportunity opens", validation_alias=_alias("MIN_NET_BPS"))
    leave_net_bps: float = Field(-1.0, description="bps after fees below which it closes")
    min_notional: float = Field(10.0, ge=0, description="smallest executable size worth a row, quote currency")
    debounce_ms: int = Field(50, ge=0, description="ms below the leave level before an opportunity is closed as faded")
    min_profit_threshold: float = Field(0.5, description="percent after fees from which an opportunity raises an alert", validation_alias=_alias("MIN_PROFIT_THRESHOLD", "MIN_PROFIT_THRESHOLD"))
    max_age_s: float = Field(5.0, gt=0, description="s, upper bound of the confirmed age of a leg", validation_alias=_alias("MAX_AGE_S", "MAX_SPREAD_AGE_SECONDS"))
    fees: dict[str, dict[str, float]] = Field(default_factory=dict, description="JSON: your taker fee in bps per venue and kind, e.g. {\"okx\":{\"spot\":8}}")
    depth_bps: Numbers = Field((5, 10, 25, 50), description="bps windows of the depth figures", validation_alias=_alias("DEPTH_BPS"))
    buffer_per_symbol: int = Field(1000, ge=50, description="samples kept per symbol for the model")

    # model
    retrain_s: float = Field(300.0, ge=10, description="s between automatic trainings")
    min_samples: int = Field(50, ge=20, description="samples before a first training")
    model_dir: Path = Field(Path("models"), description="folder of model files")

    # recording
    record: bool = Field(True, description="record everything that reaches the engine")
    data_dir: Path = Field(Path("data"), description="folder of tapes and stores")
    tape_max_mb: int = Field(4096, ge=1, description="MB of tapes kept; the oldest are removed first")

    # web
    host: str = Field("127.0.0.1", description="address to listen on", validation_alias=_alias("HOST", "API_HOST"))
    port: int = Field(8080, ge=0, le=65535, description="port of dashboard, API and WebSocket (0 = any free one)", validation_alias=_alias("PORT", "PORT", "API_PORT"))
    allowed_hosts: Names = Field((), description="further Host names that may be asked for")
    allowed_origins: Names = Field((), description="further origins that may connect or write")
    push_hz: float = Field(10.0, gt=0, le=50, description="updates per second pushed to browsers")
    max_clients: int = Field(256, ge=1, description="WebSocket clients at once")

    # simulated market
    sim_seed: int = Field(7, description="seed of the simulated market")
    sim_rate: float = Field(1.0, gt=0, description="speed of the simulated market")

    # operation
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR", validation_alias=_alias("LOG_LEVEL", "LOG_LEVEL"))
    log_json: bool = Field(False, description="log one JSON object per line")

    @field_validator("venues", "symbols", "allowed_hosts", "allowed_origins", "depth_bps", mode="before")
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
