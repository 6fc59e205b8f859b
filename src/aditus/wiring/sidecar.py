"""The program `aditus sidecar`."""

from aditus.config.sidecar import SidecarConfig
from aditus.crypto.proof import KeySigner
from aditus.domain.keytext import parse_app_secret
from aditus.net import tls
from aditus.net.mux import Resources
from aditus.sidecar.settings import SidecarSettings
from aditus.sidecar.sidecar import Sidecar
from aditus.telemetry.sidecar_metrics import SidecarMetrics
from aditus.telemetry.status import StatusView
from aditus.wiring import dialing


def run(config: SidecarConfig, status: StatusView | None = None) -> int:
    """Run a sidecar until it is stopped; as `dialing.run`."""

    def build() -> dialing.Program:
        running = sidecar(config)
        return dialing.Program(running, SidecarMetrics(running.figures))

    return dialing.run(config, build, status)


def sidecar(config: SidecarConfig, *, listens: bool = True) -> Sidecar:
    """The sidecar of this configuration, joined to the real TLS and the real credential.

    `listens`: whether it has local ports.
    """
    settings = SidecarSettings(
        app=config.app,
        relays=config.relays,
        listen=config.listen if listens else None,
        local_ports=config.local_ports,
        socks=None if config.socks is None else (config.socks.host, config.socks.port),
        http_proxy=None if config.http_proxy is None else (config.http_proxy.host, config.http_proxy.port),
        links=config.links,
        infinite_retries=config.infinite_retries,
        proxies={relay: proxy.url.reveal() for relay, proxy in config.proxies.items()},
    )
    signer = KeySigner(parse_app_secret(config.secret.reveal()))
    return Sidecar(settings, signer, tls.client_context(config.ca_file, config.client_cert), Resources())
