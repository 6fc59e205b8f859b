"""Exit codes: the one table from kinds of failure to what a shell sees (contract: "Exit codes")."""

from collections.abc import Mapping
from types import MappingProxyType

from aditus.domain.errors import AditusError, Code

OK = 0
FAILURE = 1  # also a no to a question, and an audit chain that is broken: what was asked for is not so
USAGE = 2  # usage or configuration
REFUSED = 3  # the key (or token) is not accepted, or may not do this
NOT_FOUND = 4
CONFLICT = 5  # conflict or limit
NETWORK = 6  # network, proxy or TLS
INTERRUPTED = 130

BY_CODE: Mapping[Code, int] = MappingProxyType(
    {
        Code.INVALID: USAGE,
        Code.UNAUTHENTICATED: REFUSED,
        Code.FORBIDDEN: REFUSED,
        Code.NOT_FOUND: NOT_FOUND,
        Code.CONFLICT: CONFLICT,
        Code.LIMIT: CONFLICT,
        Code.UNAVAILABLE: NETWORK,
        Code.INTERNAL: FAILURE,
    }
)


def exit_code(error: AditusError) -> int:
    """What a command ends with after this failure."""
    return BY_CODE[error.code]
