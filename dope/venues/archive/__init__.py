"""Formats that only recordings still use: read by import and replay, never connected to, never a leg of an opportunity."""

from __future__ import annotations

from dope.venues.archive.gemini_v2 import GeminiV2
from dope.venues.archive.htx_step0 import HtxStep0, HtxSwap
from dope.venues.archive.kraken_v1 import KrakenV1
from dope.venues.base import Venue

ARCHIVED: tuple[type[Venue], ...] = (GeminiV2, HtxStep0, HtxSwap, KrakenV1)
