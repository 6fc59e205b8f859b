"""The certificate for a balancer: its key in the same file or another, readable by its user alone."""

from pathlib import Path

import pytest

from aditus.config.client_cert import ClientCert, client_cert
from aditus.domain.errors import AditusError
from tests.config.given import write


def test_the_key_may_stand_beside_the_certificate(tmp_path: Path) -> None:
    both = write(tmp_path / "both.pem", "")
    assert client_cert(both, None) == ClientCert(both, both)
    assert client_cert(both, tmp_path / "key.pem") == ClientCert(both, tmp_path / "key.pem")
    assert client_cert(None, None) is None


def test_a_key_alone_is_refused() -> None:
    with pytest.raises(AditusError) as refused:
        client_cert(None, Path("key.pem"))
    assert refused.value.reason == "no-client-cert"


def test_a_key_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    key = write(tmp_path / "key.pem", "")
    cert = write(tmp_path / "cert.pem", "", mode=0o644)
    assert ClientCert(cert, key).notices == ()
    key.chmod(0o640)
    [notice] = ClientCert(cert, key).notices
    assert f"chmod 600 {key}" in notice
    assert ClientCert(cert, tmp_path / "none").notices == ()  # whoever reads it says so
