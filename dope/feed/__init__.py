"""The room of the sockets: connects to venues, asks what they need asked, and turns all of it into frames."""

from dope.feed.clock import Clock
from dope.feed.connection import Timing
from dope.feed.feed import Feed, paces
from dope.feed.health import VenueHealth
from dope.feed.probe import reachable

__all__ = ["Clock", "Feed", "Timing", "VenueHealth", "paces", "reachable"]
