"""The development certificates: what strict verifiers accept, and when they are made anew."""

import ipaddress
import ssl
import stat
import subprocess
import time
from dataclasses import astuple
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from aditus.crypto import devca
from aditus.crypto.devca import DevTls
from aditus.domain.errors import AditusError, Code

NOW = float(int(time.time()))  # the real one: the TLS library has a clock of its own
DAY = 86_400.0


def contents(files: DevTls) -> list[bytes]:
    return [path.read_bytes() for path in astuple(files)]


def handshake(files: DevTls, name: str) -> None:
    """A whole TLS handshake in memory, with the strictest client that Python has."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.create_default_context(cafile=str(files.ca))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(3):  # flights; after them both have finished
        waiting = []
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waiting.append(end)
        ends = waiting
    assert not ends


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "relay.example", "192.0.2.7"])
def test_the_strictest_client_accepts_each_name(tmp_path: Path, name: str) -> None:
    files = devca.ensure(tmp_path, ["Relay.EXAMPLE", "192.0.2.7", "localhost"], NOW)
    handshake(files, name)


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    files = devca.ensure(tmp_path, [], NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(files, "relay.example")
    (tmp_path / "other").mkdir()
    other = devca.ensure(tmp_path / "other", [], NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(DevTls(other.ca, files.certificate, files.key), "localhost")


@pytest.mark.needs("openssl")
def test_openssl_accepts_the_chain_strictly(tmp_path: Path) -> None:
    files = devca.ensure(tmp_path, [], NOW)
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        str(files.ca),
        str(files.certificate),
    ]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.endswith("OK\n")


def test_the_certificates_say_what_they_are_for() -> None:
    authority = devca.new_authority(NOW)
    leaf = devca.issue(authority, ["relay.example"], NOW)
    ca = x509.load_pem_x509_certificate(authority.certificate)
    server = x509.load_pem_x509_certificate(leaf.certificate)

    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    limits = server.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca) == (True, False)
    purposes = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "relay.example"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]
    assert ca.not_valid_after_utc.timestamp() == NOW + 3650 * DAY
    assert server.not_valid_after_utc.timestamp() == NOW + 365 * DAY
    assert server.not_valid_before_utc.timestamp() == NOW - DAY
    server.verify_directly_issued_by(ca)
    assert "PRIVATE" not in repr(leaf)


def test_only_the_owner_may_read_the_keys(tmp_path: Path) -> None:
    devca.ensure(tmp_path, [], NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes.keys() == {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}
    assert modes["ca-key.pem"] == modes["server-key.pem"] == 0o600


# --- when they are made anew ------------------------------------------------------------------


def test_a_second_start_finds_everything_as_it_was(tmp_path: Path) -> None:
    before = contents(devca.ensure(tmp_path, ["relay.example"], NOW))
    assert contents(devca.ensure(tmp_path, ["relay.example"], NOW + 300 * DAY)) == before
    assert contents(devca.ensure(tmp_path, [], NOW)) == before


def test_renewal_is_due_a_month_before_the_end_or_when_a_name_is_missing() -> None:
    leaf = devca.issue(devca.new_authority(NOW), ["relay.example"], NOW).certificate
    assert not devca.needs_renewal(leaf, NOW, ["relay.example", "localhost"])
    assert not devca.needs_renewal(leaf, NOW + 335 * DAY - 1, [])
    assert devca.needs_renewal(leaf, NOW + 335 * DAY, [])
    assert devca.needs_renewal(leaf, NOW - 2 * DAY, [])
    assert devca.needs_renewal(leaf, NOW, ["other.example"])
    assert devca.needs_renewal(leaf, NOW, ["192.0.2.7"])


def test_the_server_certificate_is_renewed_under_the_same_authority(tmp_path: Path) -> None:
    ca, certificate, key = contents(devca.ensure(tmp_path, [], NOW))
    files = devca.ensure(tmp_path, ["relay.example"], NOW)
    renewed = contents(files)
    assert renewed[0] == ca
    assert renewed[1] != certificate
    assert renewed[2] != key
    handshake(files, "relay.example")


@pytest.mark.parametrize("damage", ["missing", "torn", "of another key"])
@pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
def test_damaged_server_files_are_made_anew(tmp_path: Path, name: str, damage: str) -> None:
    files = devca.ensure(tmp_path, [], NOW)
    path = tmp_path / name
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        other = devca.issue(devca.new_authority(NOW), [], NOW)
        path.write_bytes(other.certificate if name == "server.pem" else other.key)
    handshake(devca.ensure(tmp_path, [], NOW), "localhost")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert files.ca.exists()


def test_the_key_of_the_authority_is_needed_only_to_issue(tmp_path: Path) -> None:
    """So it may be taken off the machine."""
    before = contents(devca.ensure(tmp_path, [], NOW))
    (tmp_path / "ca-key.pem").unlink()
    assert contents(devca.ensure(tmp_path, [], NOW)) == before


def test_a_start_that_was_killed_between_the_files_of_the_authority_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "ca-key.pem").write_bytes(devca.new_authority(NOW).key)
    handshake(devca.ensure(tmp_path, [], NOW), "localhost")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("ca-key.pem", None, "are not both there"),
        ("ca-key.pem", b"torn", "cannot be read as certificate and key"),
        ("ca.pem", b"torn", "cannot be read as certificate and key"),
        ("ca-key.pem", devca.new_authority(NOW).key, "do not belong together"),
    ],
)
def test_a_damaged_authority_is_not_replaced_behind_the_agents_backs(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    devca.ensure(tmp_path, [], NOW)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AditusError, match=says) as caught:
        devca.ensure(tmp_path, ["relay.example"], NOW)
    assert (caught.value.code, caught.value.reason) == (Code.INVALID, "dev-ca-unusable")
    assert "remove ca.pem" in caught.value.remedy


def test_an_authority_ends_some_day_and_no_certificate_outlives_it(tmp_path: Path) -> None:
    devca.ensure(tmp_path, [], NOW)
    files = devca.ensure(tmp_path, [], NOW + 3600 * DAY)
    ca, leaf = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (files.ca, files.certificate))
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc
    with pytest.raises(AditusError, match="have expired"):
        devca.ensure(tmp_path, [], NOW + 3650 * DAY)


def test_a_name_that_no_certificate_carries_is_refused_without_echo(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="cannot stand in a certificate") as caught:
        devca.ensure(tmp_path, ["bücher.example"], NOW)
    assert "bücher" not in str(caught.value)


def test_a_folder_that_is_not_there_is_the_callers_to_report(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        devca.ensure(tmp_path / "missing", [], NOW)


def test_a_write_that_fails_leaves_no_draft_behind(tmp_path: Path) -> None:
    (tmp_path / "server.pem").mkdir()  # cannot be replaced by a file
    with pytest.raises(IsADirectoryError):
        devca.ensure(tmp_path, [], NOW)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
