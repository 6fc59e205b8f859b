"""A sidecar's attachment to a relay: what the relay says can be reached, and for whom."""

import logging
from collections.abc import Callable

from aditus.domain.errors import AditusError, invalid
from aditus.domain.spec import is_alias
from aditus.net.attachment import Attachment
from aditus.net.link import Follow, Link, LinkFailure
from aditus.telemetry.log import fields
from aditus.wire.frames import Status

_log = logging.getLogger(__name__)


class SidecarAttachment(Attachment):
    """Tells of each STATUS. It offers nothing, and the relay opens nothing here."""

    longest_gap = 1.0  # new connections of apps wait for it, or are refused

    def __init__(self, link: Link, app: str, told: Callable[[], None]) -> None:
        super().__init__(link)
        self._app = app
        self._told = told
        self._warnings: tuple[str, ...] = ()

    @property
    def about(self) -> dict[str, object]:
        return {"app": self.status.app, "ports": tuple(self.ports)} if self.status is not None else {}

    @property
    def ports(self) -> dict[int, str]:
        """The app ports that can be reached by this relay now, each with its alias, or an empty one."""
        if self.status is None or self.mux is None or not self.mux.session.registered:
            return {}
        return {
            entry.port: entry.alias if is_alias(entry.alias) else ""
            for entry in self.status.ports
            if entry.verdict.accepted
        }

    def warn(self, status: Status) -> None:
        """STATUS is sent whenever a port comes or goes: what was said before is not said again."""
        for warning in status.warnings:
            if warning not in self._warnings:
                _log.warning("the relay says: %s", warning)
        self._warnings = status.warnings

    def told(self, status: Status) -> None:
        if self._app and self._app not in (status.app, status.app_id):
            self.close()
            self._failure = LinkFailure(_other_app(self._app, status.app), Follow.STOP)
            return
        _log.info("reachable now", extra=fields(relay=self.link.url.audience, ports=tuple(self.ports)))
        self._told()


def _other_app(wanted: str, is_of: str) -> AditusError:
    return invalid(
        "other-app",
        f"The credential is of the app {is_of}, not of {wanted}.",
        remedy=f"Have one made for it (aditus apps credential {wanted}), or name its own app with --app.",
        field="app",
    )
