"""What commands say where the extra with the server is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from aditus.domain.errors import invalid


@contextmanager
def server_needed() -> Iterator[None]:
    """Around the import of a program of the server. Raises `AditusError` `no-server`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("aditus."):
            raise
        raise invalid(
            "no-server",
            f"The server is not installed here: it needs {error.name}.",
            remedy="Install it with: pip install 'aditus[server]'.",
        ) from error
