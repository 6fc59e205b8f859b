"""A real server for the client's tests: uvicorn in a thread, on a port of the system's choice."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from aditus.control.api.app import create_app
from aditus.store.database import Database
from tests.control_plane import ControlPlane
from tests.databases import opened_sqlite, sqlite

__all__ = ["opened_sqlite", "sqlite"]


@contextmanager
def served(app: ASGIApp, certificate: Path | None = None, key: Path | None = None) -> Iterator[int]:
    """Serve `app` on 127.0.0.1 for the length of the block; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="api")
    thread.start()
    try:
        yield listener.getsockname()[1]  # who connects before it runs waits in the backlog
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def plane(sqlite: Database) -> ControlPlane:
    return ControlPlane(sqlite)


@pytest.fixture
def api_url(plane: ControlPlane) -> Iterator[str]:
    with served(create_app(plane.services)) as port:
        yield f"http://127.0.0.1:{port}"
