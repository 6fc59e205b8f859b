"""Asking a relay about a secret access key, as `aditus keys verify --online` does."""

from pathlib import Path

from aditus.config.client_cert import ClientCert
from aditus.config.proxy import Proxy
from aditus.crypto.proof import KeySigner
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.keytext import ParsedKey
from aditus.net import tls
from aditus.net.link import Link, LinkFailure
from aditus.net.mux import Resources
from aditus.wire.frames import Role
from aditus.wiring import process


def ask(
    key: ParsedKey, url: ConnectUrl, ca_file: Path | None, client_cert: ClientCert | None, proxy: Proxy | None
) -> float:
    """Prove the key to the relay at `url`; the seconds that its clock is ahead, 0 unless that was in the way.

    Returns only if the relay accepts the key. Raises `AditusError`: forbidden or unauthenticated with the
    relay's reason when it does not, unavailable when it cannot be asked.
    """
    link = Link(
        url=url,
        role=Role.AGENT,
        signer=KeySigner(key),
        instance=bytes(16),
        slot=0,
        tls=tls.client_context(ca_file, client_cert),
        resources=Resources(),
        proxy=proxy.url.reveal() if proxy is not None else None,
    )
    process.run(_ask(link))
    return link.clock_offset


async def _ask(link: Link) -> int:
    try:
        await link.prove()
    except LinkFailure as failure:
        raise failure.error from None
    return 0
