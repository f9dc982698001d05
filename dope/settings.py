"""All settings: name, default, unit, one-line help. Precedence: command line > environment > .env > default.

Every variable is ``DOPE_<NAME>``; names that other tools already use (``PORT``, ``API_PORT``, ``LOG_LEVEL`` …) are
accepted as aliases, but never a bare ``HOST``: some shells set it to the machine's name, which would open the port to the
network. The tables in the README and in .env.example are made from this model and a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableValue

from dope.errors import SettingsError
from dope.types import DEFAULT_SYMBOLS

#: environment form: comma-separated
Names = Annotated[tuple[str, ...], NoDecode]
Numbers = Annotated[tuple[int, ...], NoDecode]


#: ids in ``dope.sim.scenarios``, which a test compares with these
Scenarios = Literal["usual", "calm", "busy", "burst", "jumps", "leaders", "flash-crash", "de-peg", "venue-freeze", "clock-step", "maintenance", "reconnect-storm", "liar-checksum"]

MIN_TOKEN = 16  #: characters of an access token
TOKEN = re.compile(r"[!-~]{16,512}")  #: printable ASCII without spaces: what an HTTP header carries unchanged
ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?")


def _alias(name: str, *others: str) -> AliasChoices:
    return AliasChoices(f"DOPE_{name}", *others)


class Settings(BaseSettings):
    """Read once at start on floors 4–6 and handed down as plain values."""

    model_config = SettingsConfigDict(env_prefix="DOPE_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True, allow_inf_nan=False, hide_input_in_errors=True)

    # what to watch
    source: Literal["auto", "live", "sim"] = Field("auto", description="auto: live venues, or the simulated market if none answers; live; sim")
    venues: Names = Field(("all",), description="venue ids to connect; all = every one with order books", validation_alias=_alias("VENUES", "EXCHANGES"))
    symbols: Names = Field(
        DEFAULT_SYMBOLS,
        description="canonical symbols to watch at every venue that lists them",
    )
    endpoints: dict[str, dict[str, str]] = Field(default_factory=dict, description="JSON: other hosts per venue, e.g. {\"okx\":{\"ws\":\"ws://127.0.0.1:9001\"}}")
    keys: dict[str, SecretStr] = Field(default_factory=dict, exclude=True, description="secret JSON: keys of venues that ask for one, e.g. {\"coincap\":\"…\"}")
    bybit_api_url: str = Field("", description="REST host of bybit and bybit_linear, where it is another one", validation_alias=_alias("BYBIT_API_URL", "BYBIT_API_URL"))
    connection_timeout_s: float = Field(5.0, gt=0, description="s to open a connection; a REST answer may take twice as long", validation_alias=_alias("CONNECTION_TIMEOUT_S", "CONNECTION_TIMEOUT_SECONDS"))
    poll_s: float = Field(1.0, ge=0.2, description="s between REST books of a venue that offers them, while none of its sockets delivers", validation_alias=_alias("POLL_S", "STREAM_HEARTBEAT_DELAY"))
    live_timeout_s: float = Field(10.0, gt=0, description="s without any venue reached before auto starts the simulated market")
    probe_s: float = Field(15.0, gt=0, description="s between looks whether a live venue answers while the simulated market stands in")

    # arbitrage
    order_size: float = Field(1000.0, gt=0, description="your own order size, quote currency")
    min_net_bps: float = Field(0.0, description="bps after fees from which an opportunity opens")
    leave_net_bps: float = Field(-1.0, description="bps after fees below which it closes")
    min_notional: float = Field(10.0, ge=0, description="smallest executable size worth a row, quote currency")
    debounce_ms: int = Field(50, ge=0, description="ms below the leave level before an opportunity is closed as faded")
    min_profit_threshold: float = Field(0.5, description="percent after fees from which an opportunity raises an alert", validation_alias=_alias("MIN_PROFIT_THRESHOLD", "MIN_PROFIT_THRESHOLD"))
    max_age_s: float = Field(5.0, gt=0, description="s, upper bound of the confirmed age of a leg", validation_alias=_alias("MAX_AGE_S", "MAX_SPREAD_AGE_SECONDS"))
    latency_ms: float = Field(100.0, ge=0, le=5000, description="ms that your orders take to a venue: for the share that would fill")
    fees: dict[str, dict[str, float]] = Field(default_factory=dict, description="JSON: your taker fee in bps per venue and kind, e.g. {\"okx\":{\"spot\":8}}")
    fee_tiers: dict[str, str] = Field(default_factory=dict, description="JSON: your fee tier per venue, e.g. {\"kraken\":\"from 10000\"}; the Settings page names all")
    fee_discounts: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict, description="JSON: percent let off the fees of a venue, e.g. {\"okx\":20}")
    buy_as: Literal["taker", "maker"] = Field("taker", description="fee that the buying leg pays: taker or maker; prices stay those of taking")
    sell_as: Literal["taker", "maker"] = Field("taker", description="fee that the selling leg pays")
    roles: dict[str, dict[Literal["buy", "sell"], Literal["taker", "maker"]]] = Field(default_factory=dict, description="JSON: the same of single venues, e.g. {\"okx\":{\"buy\":\"maker\"}}; also on the Settings page")
    transfer_cost: float = Field(0.0, ge=0, description="fixed costs of one opportunity (withdrawal, gas), quote currency")
    buffer_bps: float = Field(0.0, ge=0, le=1000, description="bps of the sale held back for what goes wrong, part of the costs")
    parameters: dict[str, dict[str, float]] = Field(default_factory=dict, description="JSON: parameters of detectors, e.g. {\"jumps\":{\"min_bps\":4}}; names, units and ranges on the Settings page")
    depth_bps: Numbers = Field((5, 10, 25, 50), description="bps windows of the depth figures")
    sampler_ms: int = Field(10, ge=10, le=1000, description="ms between two samples of the features at /ws/features", validation_alias=_alias("SAMPLER_MS", "SAMPLER_MS"))
    buffer_per_symbol: int = Field(1000, ge=50, description="samples kept per symbol for the model")

    # model
    retrain_s: float = Field(300.0, ge=10, description="s between automatic trainings")
    min_samples: int = Field(50, ge=20, description="samples before a first training")
    model_dir: Path = Field(Path("models"), description="folder of model files")

    # recording
    record: bool = Field(True, description="record everything that reaches the engine")
    data_dir: Path = Field(Path("data"), description="folder of tapes and stores")
    tape_max_mb: int = Field(4096, ge=1, description="MB of tapes kept; the oldest are removed first")
    tape_days: float = Field(7.0, ge=0, description="days that a sealed tape is kept; 0 = as long as there is room")
    history_days: float = Field(7.0, ge=0, description="days that sealed book tops and trades are kept; 0 = for ever")
    history_max_mb: int = Field(20480, ge=0, description="MB of sealed book tops and trades kept; the oldest hour is removed first; 0 = any number")
    ledger_days: float = Field(365.0, ge=0, description="days that opportunities, signals and gaps are kept; 0 = for ever")

    # web
    host: str = Field("127.0.0.1", description="address to listen on", validation_alias=_alias("HOST", "API_HOST"))
    port: int = Field(8080, ge=0, le=65535, description="port of dashboard, API and WebSocket (0 = any free one)", validation_alias=_alias("PORT", "PORT", "API_PORT"))
    allowed_hosts: Names = Field((), description="further Host names that may be asked for")
    allowed_origins: Names = Field((), description="further origins (scheme://host:port, exactly) whose pages may read, connect and write")
    allowed_origin_primary: str = Field("", description="one more such origin", validation_alias=_alias("ALLOWED_ORIGIN_PRIMARY", "ALLOWED_ORIGIN_PRIMARY"))
    allowed_origin_secondary: str = Field("", description="and another", validation_alias=_alias("ALLOWED_ORIGIN_SECONDARY", "ALLOWED_ORIGIN_SECONDARY"))
    api_token: SecretStr = Field(SecretStr(""), exclude=True, description="secret, 16 characters or more: needed to operate (train, backtest, change, cancel) once set")
    read_token: SecretStr = Field(SecretStr(""), exclude=True, description="secret, 16 characters or more: once set, reading needs it too (the other token also reads)")
    push_hz: float = Field(10.0, gt=0, le=50, description="updates per second pushed to browsers")
    max_clients: int = Field(256, ge=1, description="WebSocket clients at once")
    max_clients_per_address: int = Field(32, ge=1, description="WebSocket clients of one address at once")
    reads_per_s: float = Field(100.0, gt=0, description="requests per second that one address may read, in the long run")
    writes_per_s: float = Field(10.0, gt=0, description="requests per second that one address may write, in the long run")
    costly_per_min: float = Field(60.0, gt=0, description="exports, histories, trainings, backtests and replays per minute of one address, in the long run")

    # simulated market
    sim_seed: int = Field(7, description="seed of the simulated market")
    sim_scenario: Scenarios = Field("usual", description="what the simulated market plays: usual, calm, busy, flash-crash …; README has all")
    sim_rate: float = Field(1.0, gt=0, description="speed of the simulated market")

    # operation
    self_test_s: float = Field(60.0, ge=0, description="s between two self-tests: a hidden opportunity that must be found, priced and shown; 0 = none")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR", validation_alias=_alias("LOG_LEVEL", "LOG_LEVEL"))
    log_json: bool = Field(False, description="log one JSON object per line")

    @field_validator("venues", "symbols", "allowed_hosts", "allowed_origins", "depth_bps", mode="before")
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins", "allowed_origin_primary", "allowed_origin_secondary", mode="after")
    @classmethod
    def _exact_origins(cls, value: Any) -> Any:
        several = isinstance(value, tuple)
        origins = tuple(origin.lower().rstrip("/") for origin in (value if several else (value,)) if origin)
        if strange := [origin for origin in origins if not ORIGIN.fullmatch(origin)]:
            raise ValueError(f"{strange[0][:64]!r} is no origin: scheme://host or scheme://host:port, no pattern, no path")
        return origins if several else "".join(origins)

    @field_validator("bybit_api_url", mode="after")
    @classmethod
    def _a_host(cls, value: str) -> str:
        if value and not ORIGIN.fullmatch(value.lower().rstrip("/")):
            raise ValueError("an address such as https://api.bybit.com, without a path")
        return value.lower().rstrip("/")

    @field_validator("api_token", "read_token", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError(f"a token has at least {MIN_TOKEN} printable ASCII characters and no spaces")
        return value

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        if self.read_token.get_secret_value() and not self.api_token.get_secret_value():
            raise ValueError("DOPE_READ_TOKEN needs DOPE_API_TOKEN beside it: who may not read may not operate either")
        if self.api_token.get_secret_value() and self.api_token == self.read_token:
            raise ValueError("DOPE_READ_TOKEN and DOPE_API_TOKEN must differ: whoever may read could operate")
        return self

    @property
    def origins(self) -> tuple[str, ...]:
        """All origins of other sites that are let in."""
        return tuple(dict.fromkeys(filter(None, (self.allowed_origin_primary, self.allowed_origin_secondary, *self.allowed_origins))))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no log, answer or page may show."""
        keys = (key.get_secret_value() for key in self.keys.values())
        return tuple(filter(None, (self.api_token.get_secret_value(), self.read_token.get_secret_value(), *keys)))

    def places(self) -> dict[str, dict[str, str]]:
        """Other hosts per venue, and its key as ``key`` where there is one: what a live venue is made with."""
        found = {venue: dict(hosts) for venue, hosts in self.endpoints.items()}
        for venue in ("bybit", "bybit_linear") if self.bybit_api_url else ():
            found.setdefault(venue, {}).setdefault("rest", self.bybit_api_url)
        for venue, key in self.keys.items():
            found.setdefault(venue, {})["key"] = key.get_secret_value()
        return found

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


#: settings that are secret: never on the command line, never in a message
SECRETS = tuple(name for name, field in Settings.model_fields.items() if field.annotation in (SecretStr, dict[str, SecretStr]))


def load(given: Mapping[str, Any] | None = None, *, env_file: Path | str | None = ".env") -> Settings:
    """Settings from ``given`` (the command line, by field name), environment, ``env_file`` and defaults, in this order.

    Raises SettingsError with one line for each value that cannot be used: the variable, what is wrong, what was given.
    """
    known = Settings.model_fields
    if strange := sorted(set(given or {}) - set(known)):
        raise SettingsError(f"no such setting: {', '.join(strange)}")
    if secret := sorted(set(given or {}) & set(SECRETS)):
        raise SettingsError(f"{', '.join(secret)}: secrets come from the environment or .env only, every process can read a command line")
    try:
        return Settings(_env_file=env_file, **(given or {}))
    except UnreadableValue as error:
        field = next((name for name in known if f'"{name}"' in str(error)), "")
        raise SettingsError(f"DOPE_{field.upper()}: not valid JSON; {known[field].description}" if field else str(error)) from error
    except ValidationError as error:
        raise SettingsError("\n".join(_problem(each["loc"], each["msg"], each.get("input")) for each in error.errors())) from error


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that look like ours (``DOPE_…``) but set nothing: misspelt, most likely."""
    ours = {f"DOPE_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in names if name.upper().startswith("DOPE_") and name.upper() not in ours)


def _problem(location: tuple[int | str, ...], message: str, given: Any) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    field, *inner = (str(part) for part in location)
    variable = field if field.isupper() else f"DOPE_{field.upper()}"
    if variable.removeprefix("DOPE_").lower() in SECRETS:
        return f"{variable}: {message.removeprefix('Value error, ')}"
    return f"{'.'.join((variable, *inner))}: {message[:1].lower()}{message[1:]}, not {str(given)[:64]!r}"
