"""What the private side's end of a way leads to: nginx, PostgreSQL, an echo service, and iperf3's place."""

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import install
from bench.programs import LOOPBACK, Broken, Command, Place, free_ports, tool
from demo.postgres import INSTALL, WHEEL, PostgresServer

ECHO, HTTP, IPERF, POSTGRES = "echo", "http", "iperf3", "postgres"
BODY = 1_024  # bytes of each answer of nginx
DATABASE = "postgres"
SCALE = 10  # pgbench's: 100,000 rows each

# One worker, as the tunnels are compared and not the service; no reset after a thousand requests.
NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log;
worker_processes 1;
worker_rlimit_nofile 16384;
daemon off;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ default_type text/plain; return 200 "{body}"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Targets:
    """The running services: `ports` by name. `database` is there if POSTGRES was asked for."""

    ports: Mapping[str, int]
    database: PostgresServer | None = None


def start(names: Iterable[str], place: Place, stack: ExitStack) -> Targets:
    """Start these, and the echo service, which every way is tried with. Raises `Broken`, `Unavailable`."""
    wanted = dict.fromkeys((ECHO, *names))
    ports = dict(zip(wanted, free_ports(len(wanted)), strict=True))
    database = None
    echo = place.start("echo", [sys.executable, "-m", "bench.echo", str(ports[ECHO])])
    echo.wait_listening(ports[ECHO])
    if HTTP in ports:
        program = install.debian("nginx", "nginx-light")
        text = NGINX.format(folder=place.folder, port=ports[HTTP], body="x" * BODY)
        config = place.write("nginx.conf", text)
        command: Command = [program, "-e", place.folder / "nginx-start.log", "-c", config]
        place.start("nginx", command).wait_listening(ports[HTTP])
    if POSTGRES in ports:
        database = stack.enter_context(PostgresServer({"fsync": "off"}))
        ports[POSTGRES] = database.port
        make = ["-i", "-q", "-s", str(SCALE), "-h", LOOPBACK, "-p", str(database.port)]
        tool([pgbench(), *make, "-U", database.user, DATABASE], 0.0, {"PGPASSWORD": database.password})
    return Targets(ports, database)


def pgbench() -> Path:
    """The pgbench that belongs to the PostgreSQL of the demo."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise Broken(f"the package {WHEEL} is not installed: make dev")
    return Path(spec.submodule_search_locations[0]) / INSTALL / "bin" / "pgbench"
