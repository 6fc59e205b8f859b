"""Follows agent.toml: what an agent offers changes with its file, and at SIGHUP. Nothing else does."""

import asyncio
import contextlib
import logging
import sys

from aditus.agent.supervisor import Agent
from aditus.config.connect import ConnectConfig, specs_anew
from aditus.domain.errors import AditusError
from aditus.telemetry.log import fields
from aditus.wiring import process

_log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often it is looked whether the file is another one."""


class AgentFile:
    """The specs of a running agent, kept as its file has them. One that is wrong changes nothing."""

    def __init__(self, config: ConnectConfig, running: Agent) -> None:
        self._config = config
        self._running = running
        self._specs = config.specs
        self._seen = self._stamp()
        self._told = False  # that other options differ

    async def follow(self) -> None:
        """Read the file again whenever it has changed; without end, and at once where there is none."""
        if self._config.typed.config is None:
            return
        # On a terminal SIGHUP says that its window was closed.
        heard = contextlib.nullcontext() if sys.stderr.isatty() else process.on_reload(self.read_again)
        with heard:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if (now := self._stamp()) != self._seen and now is not None:
                    self._seen = now
                    self.read_again()

    def read_again(self) -> None:
        """Offer what the file says now."""
        try:
            specs, others_differ = specs_anew(self._config)
        except AditusError as error:
            _log.error("nothing is changed: %s", error, extra=fields(reason=error.reason))
            return
        if others_differ and not self._told:
            _log.warning("options besides the specs have changed: they take effect at the next start")
        self._told = others_differ
        if specs == self._specs:
            _log.info("the specs are as they were")
            return
        before, self._specs = set(self._specs), specs
        self._running.offer(specs)
        _log.info(
            "the specs have changed",
            extra=fields(
                added=" ".join(str(spec) for spec in specs if spec not in before),
                removed=" ".join(sorted(map(str, before - set(specs)))),
            ),
        )

    def _stamp(self) -> tuple[int, ...] | None:
        """What is another one when the file is; None while there is none."""
        path = self._config.typed.config
        try:
            found = path.stat() if path is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
