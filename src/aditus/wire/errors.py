"""How a session can fail, and the tokens in which both sides say why something ended."""

from enum import IntEnum


class ResetReason(IntEnum):
    """Why a stream was reset: the `arg` of RESET (docs/wire-protocol.md, section 4)."""

    APP_RESET = 1
    TARGET_RESET = 2
    NO_AGENT = 3
    PORT_NOT_OFFERED = 4
    PORT_NOT_ALLOWED = 5
    ADDRESS_NOT_ALLOWED = 6
    TARGET_REFUSED = 7
    TARGET_TIMEOUT = 8
    TARGET_UNRESOLVED = 9
    REVOKED = 10
    SUSPENDED = 11
    EXPIRED = 12
    NOT_ASSOCIATED = 13
    AGENT_LOST = 14
    DRAIN = 15
    LIMIT = 16
    PROTOCOL = 17
    INTERNAL = 18

    @property
    def token(self) -> str:
        """The reason as people and logs read it, such as `target-refused`."""
        return self.name.lower().replace("_", "-")


class CloseCode(IntEnum):
    """The WebSocket close codes that Aditus itself gives (section 6). Any other is the network's."""

    DRAIN = 1001
    PROTOCOL = 1002
    KEY_REFUSED = 1008
    OVERLOADED = 1013
    SUPERSEDED = 4001
    SUSPENDED = 4002


class Violation(Exception):
    """The peer broke the protocol: this session ends with 1002, and nothing else does."""


class Misuse(Exception):
    """This side's driver asked for what the protocol does not allow: a defect of ours, not of the peer."""


class CannotOpen(Exception):
    """A stream was not opened, for a reason of this session's own. The caller may tell the app."""

    def __init__(self, reason: ResetReason) -> None:
        super().__init__(reason.token)
        self.reason = reason
