"""What a relay's refusals mean to an agent or a sidecar: for good, or until somebody relents."""

from collections.abc import Mapping

from aditus.domain.errors import AditusError, Code
from aditus.wire.frames import Role


def _key_refused(reason: str, message: str, remedy: str) -> AditusError:
    return AditusError(Code.FORBIDDEN, reason, message, remedy=remedy)


_NEW_KEY = "Ask an administrator for a new key, then run `aditus configure`."
SUSPENDED = AditusError(
    Code.FORBIDDEN, "suspended", "The access key is suspended.", remedy="An administrator can resume it."
)
REVERSIBLE = {
    "suspended": SUSPENDED,
    "address-not-allowed": AditusError(
        Code.FORBIDDEN,
        "address-not-allowed",
        "The access key may not be used from the address of this machine, as the relay sees it.",
        remedy="An administrator can allow it: aditus keys update ID --allow-source CIDR",
    ),
}
"""What an administrator can undo: the agent stays, and tries again."""
_OF_KEYS = {
    "revoked": _key_refused("revoked", "The access key was revoked.", _NEW_KEY),
    "expired": _key_refused(
        "expired", "The access key has expired.", "An administrator can extend it, or generate a new one."
    ),
    "replaced": _key_refused(
        "replaced",
        "The secret of this access key was replaced by a newer one.",
        "Configure the agent with the new secret.",
    ),
    "wrong-region": _key_refused(
        "wrong-region",
        "The access key belongs to another region than this relay.",
        "Dial a relay of the key's region; the Connect URL of the key names one.",
    ),
    "bad-proof": AditusError(
        Code.UNAUTHENTICATED,
        "bad-proof",
        "The relay does not know this access key, or does not go by this name.",
        remedy="Check that the key and the relay's address belong together.",
    ),
}
_OF_CREDENTIALS = {
    "revoked": _key_refused(
        "revoked",
        "The app's credential was revoked, or the app was deleted.",
        "Have a new one made (aditus apps credential APP), and start the sidecar with it.",
    ),
    "bad-proof": AditusError(
        Code.UNAUTHENTICATED,
        "bad-proof",
        "The relay does not know this app's credential, or does not go by this name.",
        remedy="Check that the credential and the relay's address belong together.",
    ),
}
FINAL: Mapping[Role, Mapping[str, AditusError]] = {Role.AGENT: _OF_KEYS, Role.SIDECAR: _OF_CREDENTIALS}
"""By role and reason: trying again is of no use."""


def no_such_url(role: Role, relay: str) -> AditusError:
    """A relay says that there is nothing where it was dialled."""
    if role is Role.AGENT:
        message = f"The relay {relay} has no such Connect URL, or it is another key's."
        remedy = "Copy the Connect URL again; a revoked key's URL is gone for good."
    else:
        message = f"The relay {relay} lets no sidecars in: it is older than they are."
        remedy = "Have it upgraded."
    return AditusError(Code.NOT_FOUND, "no-such-url", message, remedy=remedy)
