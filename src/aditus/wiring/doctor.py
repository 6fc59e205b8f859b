"""The program `aditus doctor`: a doctor with the real TLS and the real key."""

from collections.abc import Callable

from aditus.agent.doctor import Doctor, Finding, Verdict
from aditus.config.connect import DoctorConfig
from aditus.crypto.proof import KeySigner
from aditus.domain.keytext import parse_access_key
from aditus.net import tls
from aditus.wiring import process


def run(config: DoctorConfig, tell: Callable[[Finding], None]) -> None:
    """Look at everything; `tell` is given each finding at once. Raises `AditusError` (invalid)."""
    signer = KeySigner(parse_access_key(config.secret.reveal())) if config.secret is not None else None
    if config.no_secret is not None:
        error = config.no_secret
        tell(Finding("key", "here", Verdict.FAILURE, error.message, error.remedy, error.code))
    for relay, proxy in config.proxies.items():
        text = f"{proxy.shown}, named by {proxy.source}"
        tell(Finding("proxy", relay.audience, Verdict.OK, text))
    doctor = Doctor(
        urls=config.connect_urls,
        specs=config.specs,
        proxies={relay: proxy.url.reveal() for relay, proxy in config.proxies.items()},
        tls=tls.client_context(config.ca_file, config.client_cert),
        signer=signer,
        tell=tell,
    )

    async def look() -> int:
        await doctor.run()
        return 0

    process.run(look())
