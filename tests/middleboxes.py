"""What stands between agents and relays in real networks, as real programs: proxies and balancers.

    with Squid(user="me", password="s3cret") as squid:
        site.start_agent(key, spec, proxy=squid.url)

Each listens on a free port of this machine, has a folder of its own, and is ended with the block.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ends import LOOPBACK, free_port

START_SECONDS = 20.0
NOBODY = 65534
"""Squid and nginx give up root for this user, so it has to read their folders."""


class Middlebox:
    """A program in the foreground, ready as soon as its port answers."""

    program: str

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="aditus-middlebox-"))
        self._folder.chmod(0o755)
        self._process: subprocess.Popen[bytes]

    def command(self, folder: Path) -> list[str]:
        """Write its files into the folder; the command line that runs it in the foreground."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        words = self.command(self._folder)
        if os.getuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                shutil.chown(path, NOBODY)
        with (self._folder / "said").open("wb") as said:
            self._process = subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)
        given_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((LOOPBACK, self.port), 1).close()
                return self
            except OSError:
                if self._process.poll() is None and time.monotonic() < given_up_at:
                    time.sleep(0.02)
                    continue
                said_text = (self._folder / "said").read_text(errors="replace")
                self.__exit__(None, None, None)
                raise AssertionError(f"{self.program} did not start:\n{said_text}") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # with its workers
        self._process.wait(START_SECONDS)
        shutil.rmtree(self._folder)


class Squid(Middlebox):
    """A corporate proxy: CONNECT to any port, for whoever has the password."""

    program = "squid"

    def __init__(self, user: str, password: str) -> None:
        super().__init__()
        self._user, self._password = user, password

    @property
    def url(self) -> str:
        """With the password, as one gives it to an agent."""
        return f"http://{self._user}:{self._password}@{LOOPBACK}:{self.port}"

    def command(self, folder: Path) -> list[str]:
        helper = next(Path("/usr/lib").glob("squid*/basic_ncsa_auth"))
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"],
            input=self._password.encode(),
            capture_output=True,
            check=True,
        ).stdout.decode()
        (folder / "passwords").write_text(f"{self._user}:{hashed}")
        (folder / "squid.conf").write_text(
            f"""
            http_port {LOOPBACK}:{self.port}
            auth_param basic program {helper} {folder}/passwords
            auth_param basic children 1
            acl known proxy_auth REQUIRED
            http_access allow known
            http_access deny all
            cache deny all
            access_log none
            cache_log {folder}/cache.log
            cache_store_log none
            pid_filename {folder}/pid
            coredump_dir {folder}
            cache_effective_user nobody
            shutdown_lifetime 0 seconds
            """.replace("\n            ", "\n")
        )
        return ["squid", "-N", "-f", str(folder / "squid.conf")]


class Microsocks(Middlebox):
    """A SOCKS 5 proxy: for whoever has the password, or for everybody where there is none."""

    program = "microsocks"

    def __init__(self, user: str = "", password: str = "") -> None:
        super().__init__()
        self._user, self._password = user, password

    @property
    def url(self) -> str:
        """With the password, as one gives it to an agent."""
        credentials = f"{self._user}:{self._password}@" if self._user else ""
        return f"socks5://{credentials}{LOOPBACK}:{self.port}"

    def command(self, folder: Path) -> list[str]:
        words = ["microsocks", "-i", LOOPBACK, "-p", str(self.port)]
        return [*words, "-u", self._user, "-P", self._password] if self._user else words


class Balancer(Middlebox):
    """Ends TLS in front of a relay, and dials it with TLS again. Its certificate may be the relay's.

    With `client_ca`, it wants a certificate by this authority from whoever dials.
    """

    def __init__(
        self, port: int, relay_port: int, certificate: tuple[Path, Path], *, client_ca: Path | None = None
    ) -> None:
        super().__init__(port)
        self._relay_port = relay_port
        self._pem = "".join(path.read_text() for path in certificate)
        self._client_ca = client_ca


class Nginx(Balancer):
    """With `block_page` every request is answered by a page of its own with this status."""

    program = "nginx"

    def __init__(
        self,
        port: int,
        relay_port: int,
        certificate: tuple[Path, Path],
        block_page: int | None = None,
        *,
        client_ca: Path | None = None,
    ) -> None:
        super().__init__(port, relay_port, certificate, client_ca=client_ca)
        self._block_page = block_page

    def command(self, folder: Path) -> list[str]:
        (folder / "both.pem").write_text(self._pem)
        forward = f"""
                proxy_pass https://{LOOPBACK}:{self._relay_port};
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection "upgrade";
                proxy_read_timeout 60s;"""
        answer = forward if self._block_page is None else f"return {self._block_page} 'Blocked by policy\\n';"
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user nobody nogroup;" if os.getuid() == 0 else ""
        wanted = ""
        if self._client_ca is not None:
            (folder / "client-ca.pem").write_text(self._client_ca.read_text())
            wanted = f"ssl_client_certificate {folder}/client-ca.pem; ssl_verify_client on;"
        (folder / "nginx.conf").write_text(
            f"""
            {user}
            daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
            events {{}}
            http {{
              access_log off;
              {temporary}
              server {{
                listen {LOOPBACK}:{self.port} ssl;
                ssl_certificate {folder}/both.pem; ssl_certificate_key {folder}/both.pem;
                {wanted}
                location / {{ {answer} }}
              }}
            }}
            """
        )
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


class HAProxy(Balancer):
    """In HTTP mode, as it is commonly set up."""

    program = "haproxy"

    def command(self, folder: Path) -> list[str]:
        (folder / "both.pem").write_text(self._pem)
        wanted = ""
        if self._client_ca is not None:
            (folder / "client-ca.pem").write_text(self._client_ca.read_text())
            wanted = f"ca-file {folder}/client-ca.pem verify required"
        (folder / "haproxy.cfg").write_text(
            f"""
            defaults
              mode http
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              timeout tunnel 1h
            frontend public
              bind {LOOPBACK}:{self.port} ssl crt {folder}/both.pem {wanted}
              default_backend relay
            backend relay
              server one {LOOPBACK}:{self._relay_port} ssl verify none
            """.replace("\n            ", "\n")
        )
        return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
