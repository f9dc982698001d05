"""The model's life beside a session: loaded at its start, trained on schedule or on request, adopted, saved, told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from loguru import logger

from dope.errors import DopeError
from dope.feed.clock import Clock
from dope.jobs import Jobs, JobState
from dope.model.predictor import SpreadPredictor, Trained
from dope.session import Session
from dope.settings import Settings
from dope.shelf import Shelf
from dope.workers import train_worker

LOOK_NS = 1_000_000_000  #: how often the samples of a session without a model are counted


class Training:
    """Belongs to the loop, but ``check`` may be asked from any thread."""

    def __init__(self, settings: Settings, clock: Clock, jobs: Jobs) -> None:
        self._settings, self._clock, self._jobs = settings, clock, jobs
        self._shelf: Shelf | None = None
        self._error = ""
        self._versions: list[dict[str, Any]] = []
        self._running: dict[int, Session] = {}  #: training jobs and the session whose rows they learn from
        self._next = self._look = 0  # ns
        self._first: Session | None = None  # whose first training was begun

    def begin(self, session: Session) -> None:
        """A new session: its own model, never that of another source; a tape has none."""
        self._schedule()
        self._error, self._versions = "", []
        if session.source == "tape":
            return
        try:
            self._shelf = self._shelf or Shelf(self._settings.model_dir)
            shelved = self._shelf.load(session.source)
            self._versions = self._shelf.versions(session.source)
            if shelved is not None:
                self._error = shelved.notice
                session.predictor.adopt(shelved.trained)
        except (DopeError, OSError) as error:
            self._error = f"model not used: {error}"
            logger.warning("model not used: {}", error)

    def check(self, session: Session | None) -> None:
        """Raises DopeError while there are too few samples to train on."""
        have = session.predictor.samples if session is not None else 0
        if have < self._settings.min_samples:
            raise DopeError(f"not enough data to train: {have} of {self._settings.min_samples} samples")

    def due(self, session: Session) -> bool:
        """True once per period, and as soon as a session without a model has enough to learn from; never while one runs."""
        now = self._clock.now()
        first = session.predictor.trained is None and self._first is not session
        if now < self._next and not (first and now >= self._look):
            return False
        self._look = now + LOOK_NS
        if now >= self._next:
            self._schedule()
        if self._running or session.predictor.samples < self._settings.min_samples:
            return False
        self._first = session
        return True

    def start(self, session: Session, job: int) -> None:
        """Hand the rows so far to a worker. Raises JobError when one runs and one waits."""
        recipe = SpreadPredictor(min_samples=self._settings.min_samples)
        self._jobs.start("train", train_worker, (session.predictor.table(), recipe, self._clock.now(), session.source), job)
        self._running[job] = session
        self._schedule()

    def _schedule(self) -> None:
        self._next = self._clock.now() + int(self._settings.retrain_s * 1e9)

    async def take(self, states: Sequence[JobState], session: Session | None) -> None:
        """Take in what ended: a model is for the session it learned from; a failure leaves the old model in use."""
        for state in states:
            if state.ended is None or state.id not in self._running:
                continue
            if self._running.pop(state.id) is not session or session is None:
                continue  # the source was changed meanwhile
            if state.state == "done":
                await self._adopt(session, state.result)
                continue
            self._error = f"training failed: {state.error}" if state.state == "failed" else ""
            text = f"training {state.state}" + (f": {state.error}" if state.error else "")
            session.picture.tell(self._clock.now(), "model", text, "", "warn")

    async def _adopt(self, session: Session, trained: Trained) -> None:
        session.predictor.adopt(trained)
        self._error = ""
        card = trained.card
        session.picture.tell(self._clock.now(), "model", f"model trained on {card['rows']} rows: {card['verdict']}", card["in_use"])
        if session.source == "tape" or self._shelf is None:
            self._versions = [*self._versions, card]
            return
        try:
            await asyncio.to_thread(self._shelf.save, trained)
            self._versions = self._shelf.versions(session.source)
        except (DopeError, OSError) as error:
            self._error = f"model not saved: {error}"
            logger.error("model not saved: {}", error)

    def section(self, session: Session) -> dict[str, Any]:
        """The board's ``pred`` section."""
        section = session.predictor.section()
        section["error"] = self._error
        section["next_train"] = self._next // 1_000_000
        section["versions"] = self._versions
        if session in self._running.values():
            section["status"] = "training"
        elif self._error and section["status"] != "ready":
            section["status"] = "failed"
        return section
