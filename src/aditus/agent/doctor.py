"""What an agent would meet: its way to each relay, its key there, its targets here. Nothing is attached."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

from aditus.agent.dialer import visit
from aditus.domain.connect_url import ConnectUrl, RelayUrl
from aditus.domain.errors import Code
from aditus.domain.ports import Signer
from aditus.domain.spec import Spec
from aditus.net import tcp
from aditus.net.link import CLIENT_CERT_REMEDY, CLOCK_REMEDY, Link, LinkFailure
from aditus.net.mux import Resources
from aditus.net.reach import Reached, Step, Stuck, reach
from aditus.wire.frames import Role

SKEW_SECONDS = 30.0
"""How wrong the clock of this machine may be; agents correct it themselves, logs do not."""
CERTIFICATE_DAYS = 14
TARGET_SECONDS = 5.0
DAY_SECONDS = 86_400.0


class Verdict(StrEnum):
    """How a check ended. A warning does not keep an agent from working."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it. `code`: the kind of a failure, for the exit code."""

    check: str  # name, proxy, tcp, tls, answer, clock, key, target
    about: str  # the relay's audience, or a spec
    verdict: Verdict
    text: str
    remedy: str = ""
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Doctor:
    """What is looked at. `signer` None: the key is not asked about; `tell` is given each finding at once."""

    urls: Sequence[ConnectUrl]
    specs: Sequence[Spec]
    proxies: Mapping[RelayUrl, str]
    tls: ssl.SSLContext
    signer: Signer | None
    tell: Callable[[Finding], None]

    async def run(self) -> None:
        """Look at everything, one after the other; targets together."""
        for url in self.urls:
            await self._relay(url)
        found = [asyncio.create_task(self._target(spec)) for spec in self.specs]
        for target in found:
            self.tell(await target)

    async def _relay(self, url: ConnectUrl) -> None:
        about, proxy = url.audience, self.proxies.get(url.relay)
        try:
            reached = await reach(url.relay.host, url.relay.port, url.path, self.tls, proxy)
        except Stuck as stuck:
            remedy = _REMEDIES[stuck.step]
            if stuck.wants_certificate:
                remedy = CLIENT_CERT_REMEDY
            elif stuck.is_about_time:
                remedy = CLOCK_REMEDY
            text = f"{_STUCK[stuck.step]}: {stuck.why}."
            self._fail(stuck.step, about, text, remedy, Code.UNAVAILABLE)
            return
        way = Step.PROXY if proxy else Step.TCP
        self._ok(way, about, f"{reached.peer} answers in {reached.connect_ms:.0f} ms")
        self._certificate(about, reached)
        if not reached.headers.get("Aditus-Reason"):
            text = f"Not the relay, but something else answers: HTTP {reached.status}."
            remedy = _REMEDIES[Step.ANSWER]
            if reached.wants_certificate:
                text, remedy = f"{text} It wants a client certificate that it trusts.", CLIENT_CERT_REMEDY
            self._fail(Step.ANSWER, about, text, remedy, Code.UNAVAILABLE)
            return
        self._ok(Step.ANSWER, about, "the relay answers, and nothing in between")
        self._clock(about, reached)
        if self.signer is not None:
            await self._key(url, proxy, self.signer)

    def _certificate(self, about: str, reached: Reached) -> None:
        days = (reached.certificate_ends_at - time.time()) / DAY_SECONDS
        until = time.strftime("%Y-%m-%d", time.gmtime(reached.certificate_ends_at))
        text = f"{reached.tls_version}, certificate by {reached.certificate_issuer} until {until}"
        if days >= CERTIFICATE_DAYS:
            self._ok(Step.TLS, about, text)
        else:
            remedy = "Tell whoever runs the relay to renew it: without, no agent attaches after that day."
            self.tell(Finding(Step.TLS, about, Verdict.WARNING, f"{text}: {days:.0f} days.", remedy))

    def _clock(self, about: str, reached: Reached) -> None:
        try:
            ahead = reached.answered_at - parsedate_to_datetime(reached.headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            return  # it says no time, and needs not
        if abs(ahead) <= SKEW_SECONDS:
            self._ok("clock", about, f"within {max(1, round(abs(ahead)))} s of the relay's")
            return
        way = "ahead of" if ahead > 0 else "behind"
        text = f"The clock of this machine is {abs(ahead):.0f} s {way} the relay's."
        self.tell(Finding("clock", about, Verdict.WARNING, text, "Set the clock, by NTP."))

    async def _key(self, url: ConnectUrl, proxy: str | None, signer: Signer) -> None:
        link = Link(url, Role.AGENT, signer, bytes(16), 0, self.tls, Resources(), proxy)
        try:
            await link.prove()
        except LinkFailure as failure:
            error = failure.error
            self._fail("key", url.audience, error.message, error.remedy, error.code)
        else:
            self._ok("key", url.audience, f"the relay accepts the key {signer.key_id}")

    async def _target(self, spec: Spec) -> Finding:
        began = time.monotonic()
        try:
            await visit(spec, TARGET_SECONDS)
        except (OSError, UnicodeError) as error:
            remedy = "Check host and port, and that this machine may connect there."
            text = f"The target cannot be reached: {_why(error)}."
            return Finding("target", str(spec), Verdict.FAILURE, text, remedy, Code.INTERNAL)
        milliseconds = (time.monotonic() - began) * 1000
        return Finding("target", str(spec), Verdict.OK, f"it answers in {milliseconds:.0f} ms")

    def _ok(self, check: str, about: str, text: str) -> None:
        self.tell(Finding(check, about, Verdict.OK, text))

    def _fail(self, check: str, about: str, text: str, remedy: str, code: Code) -> None:
        self.tell(Finding(check, about, Verdict.FAILURE, text, remedy, code))


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TARGET_SECONDS:g} s"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name has no address"
    if isinstance(error, tcp.Forbidden):
        return "its name leads to a link-local or metadata address, which a spec has to give itself"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else "it refused the connection"


_STUCK = {
    Step.NAME: "The relay is not found",
    Step.PROXY: "There is no way through the proxy",
    Step.TCP: "Nothing answers at the relay's address",
    Step.TLS: "There is no TLS with the relay",
    Step.ANSWER: "The relay does not answer",
}
_REMEDIES = {
    Step.NAME: "Check the host name and this machine's name servers. If only a proxy gets out: --proxy.",
    Step.PROXY: "Check --proxy or HTTPS_PROXY (http://user:password@host:port), and that it allows CONNECT.",
    Step.TCP: "Check address and port, and the firewall. If only a proxy gets out: --proxy.",
    Step.TLS: "Give the CA with --ca-file, and check the host name. If TLS is inspected, that CA is it."
    " If a client certificate is wanted there: --client-cert.",
    Step.ANSWER: "Look at the proxy or load balancer in between, and at its rules for WebSockets.",
}
