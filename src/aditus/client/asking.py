"""What the nouns of the API have in common: one subscription, and how its answers become values."""

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aditus.client.decode import decode
from aditus.client.http import Http, segment

PAGE = 500  # items asked for at once

T = TypeVar("T")


class Asking:
    """Asks the API at `api_url` as the holder of `token` about one subscription (`0`: the token's own)."""

    def __init__(
        self, api_url: str, token: str, ca_file: Path | None = None, *, subscription: str = "0"
    ) -> None:
        self._subscription = f"/v1/subscriptions/{segment(subscription)}"
        self._http = Http(api_url, token, ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _one(self, kind: type[T], method: str, path: str, body: Mapping[str, object] | None = None) -> T:
        answer = self._http.request(method, path, body=body)
        return self._decoded(lambda data: decode(kind, data), answer)

    def _pages(self, kind: type[T], path: str, query: Mapping[str, str] | None) -> Iterator[T]:
        """The items of all pages; `query` None: of a list that has one page."""
        cursor = ""
        while True:
            page: dict[str, str | int] = {"limit": PAGE, "cursor": cursor}
            answer = self._http.request("GET", path, query=None if query is None else page | dict(query))
            items, cursor = self._decoded(
                lambda data: ([decode(kind, item) for item in data["items"]], str(data["next_cursor"])),
                answer,
            )
            yield from items
            if not cursor:
                return

    def _decoded(self, read: Callable[[Any], T], answer: Any) -> T:
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self._http.not_aditus("with other fields") from error


def rfc3339(time: float | None) -> str | None:
    """A time of a request; None stays None."""
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")


def base64url(raw: bytes) -> str:
    """A public key of a request."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
