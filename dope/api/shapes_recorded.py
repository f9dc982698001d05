"""What the API answers of recordings, history, gaps and records: fields with their units. Times come twice, as in ``shapes.py``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class MissingOut(BaseModel):
    """A stretch in which frames were lost while recording."""

    from_: str | None = Field(None, alias="from")
    from_ms: int | None = None
    to: str | None = None
    to_ms: int | None = None
    lost: int = Field(0, description="frames; 0 = not known how many")
    reason: str = ""


class RecordingOut(BaseModel):
    """One tape."""

    name: str
    source: str = Field(description="live, sim or import; empty when it cannot be read")
    session: str = Field("", description="run of the program that recorded it; its parts continue each other")
    part: int = 1
    venues: list[str] = []
    first: str | None = None
    first_ms: int | None = None
    last: str | None = None
    last_ms: int | None = None
    frames: int = 0
    bytes: int = 0
    complete: bool = Field(False, description="closed in order; false = still being written, or cut by a crash")
    sealed: bool = Field(False, description="its tables stand in the sealed history")
    lost: int = Field(0, description="frames known to be missing")
    gaps: list[MissingOut] = []
    error: str = Field("", description="why it cannot be read")


class BundleOut(BaseModel):
    """A bundle that lies ready to be replayed. It is checked, every byte, when it is opened."""

    name: str
    bytes: int = 0
    tapes: list[str] = Field([], description="recordings that it says it holds")
    error: str = Field("", description="why it is no bundle")


class SeekingOut(BaseModel):
    to: str | None = Field(None, description="null = one event earlier")
    to_ms: int | None = None
    done: float = Field(0.0, ge=0, le=1)


class ReplayOut(BaseModel):
    """A recording that is played beside the live market."""

    id: int
    state: Literal["created", "running", "paused", "ended", "failed"]
    alive: bool = Field(description="its process runs: it can be sought, also after its end")
    ready: bool = Field(description="it has shown something")
    reason: str = Field("", description="why it ended or failed")
    refused: str = Field("", description="why the last wish was not carried out")
    tapes: list[str]
    bundle: str = Field("", description="the bundle it is played from; empty = from the recordings here")
    as_bundled: bool | None = Field(None, description="whether it came to the digest it was bundled with; null before its end")
    source: str = Field(description="who recorded it: live, sim or import; empty until a bundle is open")
    from_: str | None = Field(None, alias="from")
    from_ms: int | None = None
    to: str | None = None
    to_ms: int | None = None
    position: str | None = Field(None, description="recorded time reached")
    position_ms: int | None = None
    position_ns: int | None = Field(None, description="the same, exactly")
    speed: float | Literal["max"]
    reached: float | None = Field(None, description="recorded seconds per second, as measured; null while it stands still")
    frames: int = Field(0, description="frames that the engine has seen")
    frames_total: int = 0
    seeking: SeekingOut | None = None
    loop: list[int] | None = Field(None, description="from and to in ms")
    digest: str | None = Field(None, description="of the frames seen; null while it moves, or when it began later than the recording")
    whole: bool = True
    books_live: int = 0
    books_total: int = 0
    holes: list[MissingOut] = Field([], description="where frames were lost while recording")
    problems: list[str] = Field([], description="damaged places met so far")
    created: str | None = None
    created_ms: int | None = None


class ColumnOut(BaseModel):
    name: str
    type: str = Field(description="time (ISO-8601 UTC; in files ns since 1970), number, count or text")
    help: str = Field(description="meaning and unit")


class KindOut(BaseModel):
    kind: str
    about: str
    one_symbol: bool = Field(description="true = symbol must be given")
    step_s: float | None = Field(description="s; a range is widened to whole steps of it; null = as it is asked for")
    columns: list[ColumnOut]


class GapOut(BaseModel):
    """Something that is missing in recorded history."""

    ts: str = Field(description="from when")
    ts_ms: int
    until: str | None = Field(description="complete again; null = still missing")
    until_ms: int | None
    symbol: str = Field(description="empty = all")
    venue: str = Field(description="empty = all")
    what: str = Field(description="book, connection, recording, rows or file")
    why: str
    lost: int | None = Field(description="frames or rows known to be lost; null = not known")


class GapRow(GapOut):
    seconds: float = Field(description="s; up to now while it is still missing")


class GapsOut(BaseModel):
    """The gap ledger: what is missing of a recording, newest first."""

    source: str = Field(description="whose recording: live, sim or import")
    start: str = Field(description="of the range looked at")
    end: str = Field(description="of the range looked at, not included")
    count: int = Field(description="rows here")
    matched: int = Field(description="rows that pass the filters")
    more: bool = Field(description="there are further rows: ask again with offset + count and the same start and end")
    unrecorded_s: float = Field(description="s of the range in which nothing was recorded")
    lost: int = Field(description="frames and rows known to be lost in the matched gaps")
    problems: list[str] = Field(description="files that could not be used, and why")
    rows: list[GapRow]


class StorageOut(BaseModel):
    """How one source's recording is kept."""

    source: str = Field(description="live, sim or import")
    on: bool = Field(description="it is being recorded now")
    path: str | None = Field(description="the tape that is being written")
    reason: str = Field(description="why nothing is recorded; empty = nothing is wrong")
    tapes: int
    tape_bytes: int
    tape_bytes_max: int = Field(description="beyond it the oldest tapes go; 0 = no bound")
    first: str | None = Field(description="the oldest frame on a tape")
    first_ms: int | None
    last: str | None = Field(description="the newest frame on a tape")
    last_ms: int | None
    frames: int
    lost: int = Field(description="frames known to be missing on these tapes")
    free_bytes: int | None = Field(description="left on the disk; null = not known")
    disk_bytes: int | None
    sealed: int = Field(description="tapes whose rows stand in the history")
    waiting: int = Field(description="closed tapes that are not sealed yet")
    sealed_last: str | None
    sealed_last_ms: int | None
    seal_trouble: str
    verified: str | None = Field(description="when app.py verify last looked at this data folder; null = never")
    verified_ms: int | None
    sound: int | None = Field(description="files that were sound then")
    problems: int | None = Field(description="what was wrong then")
    told: list[str] = Field(description="the first problems, in words")
    records_trouble: str = Field(description="what is wrong with the file of jobs, rules and views; empty = nothing")


class HistoryOut(BaseModel):
    """Recorded rows and what is missing among them. Times of rows come twice: ISO-8601 UTC with nanoseconds, and ``_ms``."""

    kind: str
    symbol: str | None
    source: str = Field(description="whose recording: live, sim or import")
    version: str
    start: str = Field(description="of the range looked at")
    end: str = Field(description="of the range looked at, not included")
    count: int = Field(description="rows here")
    more: bool = Field(description="cut at the limit")
    next: str | None = Field(description="start of the next question, if there is more; rows of that very moment come again")
    complete: bool = Field(description="true = nothing is known to be missing in this range")
    gaps_total: int
    gaps: list[GapOut] = Field(description="what is missing in the range, the first 1000")
    problems: list[str] = Field(description="files that could not be used, and why")
    rows: list[dict[str, Any]] = Field(description="oldest first; columns: /api/v1/history/kinds")


class AuditRowOut(BaseModel):
    id: int
    at: str
    at_ms: int
    who: str = Field(description="address of whoever asked, or: the program")
    what: str = Field(description="name of the command")
    detail: dict[str, Any]


class AuditOut(BaseModel):
    count: int = Field(description="rows here")
    more: bool
    next: int | None = Field(description="``before`` of the next question, if there is more")
    rows: list[AuditRowOut]


class PastJobOut(BaseModel):
    """A job as it was asked for and ended; ``run`` is the start of the program that ran it, ``id`` its number in that run."""

    run: str
    run_ms: int
    id: int
    kind: str
    state: str = Field(description="queued, running, done, failed, cancelled, or: ended with the program")
    args: dict[str, Any]
    asked: str
    asked_ms: int
    started: str | None
    started_ms: int | None
    ended: str | None
    ended_ms: int | None
    error: str | None
    result: Any = Field(description="report of a backtest, description of a trained model; null when it was too long to keep")


class PastJobsOut(BaseModel):
    count: int = Field(description="rows here")
    more: bool = Field(description="ask again with offset + count")
    rows: list[PastJobOut]


class ViewOut(BaseModel):
    page: str
    name: str
    state: dict[str, Any]
    saved: str
    saved_ms: int
