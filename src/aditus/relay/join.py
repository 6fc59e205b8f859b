"""Stream to stream: what an app says to its sidecar goes on to an agent, frame by frame, without a socket.

Credit is per hop: it goes back when bytes have left for the other session, so that at most one window of a
stream and direction waits here, and that window was paid from the budget of the session it came by.
"""

import asyncio
import logging
from collections import deque
from typing import cast

from aditus.net.mux import MuxStream
from aditus.relay.conversation import TARGET_FAILURES, Conversation
from aditus.relay.open import Opener
from aditus.relay.report import Reporter
from aditus.telemetry.log import fields
from aditus.wire.errors import CannotOpen, ResetReason

_log = logging.getLogger(__name__)


class _Half:
    """The local end of one of two joined streams: what comes out of it goes into the other."""

    __slots__ = ("_join", "other", "stream")

    def __init__(self, join: "Join") -> None:
        self._join = join
        self.stream: MuxStream
        self.other: MuxStream

    def data(self, data: memoryview) -> None:
        if self.other.send(data):
            self.stream.consume(len(data))

    def sent(self, size: int) -> None:
        """Into our own stream, that is: they came out of the other one."""
        self.other.consume(size)

    def accepted(self) -> None:
        self._join.accepted()

    def ended(self) -> None:
        self.other.finish()
        self._join.ended()

    def cut(self, reason: ResetReason, detail: str) -> None:
        self._join.lost(self.other, reason, detail)

    def congested(self) -> None:
        """Nothing to do: the window that the bytes came by bounds what waits."""

    def relieved(self) -> None:
        """Nothing to do, as above."""


class _Early:
    """The end of an app's stream until an agent's is there: keeps at most the first window."""

    __slots__ = ("_join", "bytes", "finished")

    def __init__(self, join: "Join") -> None:
        self._join = join
        self.bytes = bytearray()
        self.finished = False

    def data(self, data: memoryview) -> None:
        self.bytes += data

    def ended(self) -> None:
        self.finished = True

    def cut(self, reason: ResetReason, detail: str) -> None:
        self._join.lost(None, reason, detail)

    def accepted(self) -> None:
        """Sidecars accept nothing: the relay opens no streams towards them."""

    def congested(self) -> None:
        """Nothing is sent before there is an agent's stream."""

    def relieved(self) -> None:
        """As above."""

    def sent(self, size: int) -> None:
        """As above."""


class Join:
    """An app's stream, joined to an agent's as soon as that is there."""

    def __init__(self, stream: MuxStream, app_id: str, source: str, reporter: Reporter) -> None:
        self.key_id = ""
        """The key whose agent it leads to; empty while it waits."""
        self.over = False
        self._app = stream
        self._app_id = app_id
        self._source = source
        self._reporter = reporter
        self._early = _Early(self)
        self._agent: MuxStream | None = None
        self._conversation: Conversation | None = None
        self._ends = 0  # FINs that were received, of two
        stream.end = self._early

    @property
    def port(self) -> int:
        """The app port that it is for."""
        return self._app.port

    def open(self, opener: Opener) -> None:
        """Open the agent's stream, or reset the app's with the reason why not."""
        half = _Half(self)
        try:
            opened = opener.open_for_app(self._app_id, self.port, self._source, half)
        except CannotOpen as error:
            about = fields(app=self._app_id, port=self.port, source=self._source)
            _log.info("refused an app: %s", error.reason.token, extra=about)
            self.over = True
            self._app.reset(error.reason)
            return
        self.key_id = opened.key.key_id
        self._conversation = Conversation(opened, self._app_id)
        self._agent = half.stream = opened.stream
        half.other = self._app
        back = _Half(self)
        back.stream, back.other = self._app, opened.stream
        early, self._app.end = self._early, back
        self._app.watch()
        opened.stream.watch()
        if early.bytes:
            back.data(memoryview(early.bytes))
        if early.finished:
            back.ended()

    def accepted(self) -> None:
        """The target answered."""
        cast(Conversation, self._conversation).accepted()
        self._app.accept()

    def ended(self) -> None:
        """One side sends no more; what it sent before arrives first."""
        self._ends += 1
        if self._ends == 2:
            self._finish(None)

    def lost(self, other: MuxStream | None, reason: ResetReason, detail: str) -> None:
        """One side is gone: so is the other."""
        level = logging.INFO if reason in TARGET_FAILURES else logging.DEBUG  # the others are told once
        text = f"{reason.token}, {detail}" if detail else reason.token
        _log.log(level, "a stream was reset: %s", text, extra=fields(app=self._app_id, port=self.port))
        if other is not None:
            other.reset(reason, detail)
        self._finish(reason)

    def cut(self, reason: ResetReason) -> None:
        """End it on both sides."""
        self._app.reset(reason)
        if self._agent is not None:
            self._agent.reset(reason)
        self._finish(reason)

    def _finish(self, reason: ResetReason | None) -> None:
        if self.over:
            return
        self.over = True
        if self._conversation is not None:
            self._conversation.over(reason)
            # A turn later, as in `relay/ingress.py`.
            asyncio.get_running_loop().call_soon(self._conversation.keep, self._reporter)


class Joiner:
    """Joins the streams that sidecars open; they wait while the agents of their key have no room."""

    def __init__(self, opener: Opener, reporter: Reporter) -> None:
        self._opener = opener
        self._reporter = reporter
        # By app_id and port; bounded by the streams of the app's sessions.
        self._waiting: dict[tuple[str, int], deque[Join]] = {}

    def join(self, stream: MuxStream, app_id: str, source: str) -> Join:
        """Lead this stream of an app to an agent of its key."""
        join = Join(stream, app_id, source, self._reporter)
        place = (app_id, stream.port)
        if place in self._waiting or self._opener.is_full_for_app(*place):
            self._waiting.setdefault(place, deque()).append(join)
        else:
            join.open(self._opener)
        return join

    def go_on(self, app_id: str) -> None:
        """Something changed for the app: let in those that wait, until there is no room again."""
        for place in [place for place in self._waiting if place[0] == app_id]:
            waiting = self._waiting[place]
            while waiting and (waiting[0].over or not self._opener.is_full_for_app(*place)):
                join = waiting.popleft()
                if not join.over:
                    join.open(self._opener)
            if not waiting:
                del self._waiting[place]
