"""The program `aditus connect`: an agent, and the file that it follows."""

from aditus.agent.settings import AgentSettings
from aditus.agent.supervisor import Agent
from aditus.config.connect import ConnectConfig
from aditus.crypto.proof import KeySigner
from aditus.domain.keytext import parse_access_key
from aditus.net import tls
from aditus.net.mux import Resources
from aditus.telemetry.agent_metrics import AgentMetrics
from aditus.telemetry.status import StatusView
from aditus.wiring import dialing
from aditus.wiring.agent_file import AgentFile


def run(config: ConnectConfig, status: StatusView | None = None) -> int:
    """Run an agent until it is stopped; as `dialing.run`."""

    def build() -> dialing.Program:
        running = agent(config)
        return dialing.Program(running, AgentMetrics(running.figures), (AgentFile(config, running).follow,))

    return dialing.run(config, build, status)


def agent(config: ConnectConfig) -> Agent:
    """The agent of this configuration, joined to the real TLS and the real key."""
    settings = AgentSettings(
        urls=config.connect_urls,
        specs=config.specs,
        links=config.links,
        infinite_retries=config.infinite_retries,
        proxies={relay: proxy.url.reveal() for relay, proxy in config.proxies.items()},
        log_payload=config.payload,
    )
    signer = KeySigner(parse_access_key(config.secret.reveal()))
    return Agent(settings, signer, tls.client_context(config.ca_file, config.client_cert), Resources())
