"""What a user may ask the engine to do, and the check of each argument before it goes on."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9_-]{1,16}){0,3}")


def _plain_file_name(text: str) -> str:
    if FILE_NAME.fullmatch(text) is None:
        raise ValueError("must be the name of a tape, without folders")
    return text


Amount = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9_]+$")]
VenueId = Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9_]+$")]  # the very end of the text
TapeName = Annotated[str, Field(max_length=128), AfterValidator(_plain_file_name)]


class Strict(BaseModel):
    """Knows all its fields: a misspelt one is refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Strict):
    pass


class BacktestArgs(Strict):
    tape: TapeName | None = Field(None, description="name of a tape; null = what was recorded since start")
    latency_ms: Amount | None = Field(None, ge=0, le=60_000, description="ms from decision to fill")
    order_size: Amount | None = Field(None, gt=0, le=1e9, description="quote currency")
    fees: dict[VenueId, dict[VenueId, Annotated[float, Field(ge=-100, le=1000)]]] | None = Field(
        None, max_length=64, description="taker fee in bps per venue and kind"
    )


class CancelArgs(Strict):
    job: int = Field(ge=1)


class SetArgs(Strict):
    order_size: Amount | None = Field(None, gt=0, le=1e9, description="your own order size, quote currency")
    min_net_bps: Amount | None = Field(None, ge=-1e4, le=1e4, description="bps after fees from which an opportunity opens")
    leave_net_bps: Amount | None = Field(None, ge=-1e4, le=1e4, description="bps after fees below which it closes")
    min_notional: Amount | None = Field(None, ge=0, le=1e9, description="smallest executable size worth a row, quote currency")
    transfer_cost: Amount | None = Field(None, ge=0, le=1e9, description="fixed costs of one opportunity, quote currency")
    buffer_bps: Amount | None = Field(None, ge=0, le=1000, description="bps of the sale held back")
    parameters: dict[Word, dict[Word, Amount]] | None = Field(
        None, max_length=32, description="of detectors: detector → name → value; units and ranges at /api/v1/parameters"
    )


class SourceArgs(Strict):
    to: Literal["live", "sim"]


class ReconnectArgs(Strict):
    venue: VenueId | None = Field(None, description="one venue; null = all")


Symbol = Annotated[str, Field(max_length=40, pattern=r"^[A-Z0-9]+(-[A-Z0-9]+){1,2}$", description="canonical: BTC-USDT, BTC-USDT-PERP")]


class WatchArgs(Strict):
    symbol: Symbol | None = Field(None, description="null = what was watched at that venue before")
    venue: VenueId | None = Field(None, description="one venue; null = every watched one that lists the symbol")


class MuteArgs(Strict):
    venue: VenueId
    seconds: Amount | None = Field(None, gt=0, le=604_800, description="s in which none of its warnings is raised; null = until unmuted")


class TierArgs(Strict):
    venue: VenueId
    tier: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9 ]+$", description="one of those that the Settings page shows")]


class UnmuteArgs(Strict):
    venue: VenueId


class ScenarioArgs(Strict):
    name: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9-]+$", description="id of a scenario of the simulated market")]


class Train(Strict):
    name: Literal["train"]
    args: Nothing = Nothing()


class Backtest(Strict):
    name: Literal["backtest"]
    args: BacktestArgs = BacktestArgs()


class Cancel(Strict):
    name: Literal["cancel"]
    args: CancelArgs


class Set(Strict):
    name: Literal["set"]
    args: SetArgs


class Source(Strict):
    name: Literal["source"]
    args: SourceArgs


class Reconnect(Strict):
    name: Literal["reconnect"]
    args: ReconnectArgs = ReconnectArgs()


class Mute(Strict):
    name: Literal["mute"]
    args: MuteArgs


class Unmute(Strict):
    name: Literal["unmute"]
    args: UnmuteArgs


class Watch(Strict):
    name: Literal["watch"]
    args: WatchArgs


class Unwatch(Strict):
    name: Literal["unwatch"]
    args: WatchArgs


class Tier(Strict):
    name: Literal["tier"]
    args: TierArgs


class PlayScenario(Strict):
    name: Literal["scenario"]
    args: ScenarioArgs


Wish = Annotated[
    Train | Backtest | Cancel | Set | Source | Reconnect | Mute | Unmute | Watch | Unwatch | PlayScenario | Tier,
    Field(discriminator="name"),
]
