"""The certificate that an agent shows to a balancer in front of the relay which wants one."""

from pathlib import Path
from typing import NamedTuple

from aditus.config.files import open_to_others
from aditus.domain.errors import invalid


class ClientCert(NamedTuple):
    """A certificate chain and its private key, PEM; both may stand in one file."""

    cert: Path
    key: Path

    @property
    def notices(self) -> tuple[str, ...]:
        """A warning if others may read the key."""
        return open_to_others(self.key) if self.key.exists() else ()  # without it, the TLS context says so


def client_cert(cert: Path | None, key: Path | None) -> ClientCert | None:
    """What `--client-cert` and `--client-key` name. Raises `AditusError` (invalid) for a key alone."""
    if cert is None and key is not None:
        raise invalid(
            "no-client-cert",
            "--client-key is the key of a certificate that is not given.",
            remedy="Add --client-cert with the certificate that was issued for it.",
            field="client_cert",
        )
    return ClientCert(cert, key or cert) if cert is not None else None
