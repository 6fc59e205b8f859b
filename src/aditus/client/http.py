"""One request to the API: from a method and a path to JSON, or to an `AditusError` that says what to do."""

import contextlib
import ipaddress
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from aditus import __version__
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import format_token, parse_token

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # a revoke answers when all is cut, and waits its turn behind others
MAX_ANSWER = 64 * 1024 * 1024  # bytes; tens of thousands of tunnels on one page are less
PROBLEM_TYPE = "urn:aditus:problem:"  # then the code (see control.api.problems)


def segment(text: str) -> str:
    """A name or id as one part of a path. Raises `AditusError` `bad-name` for what would lead elsewhere."""
    if text in ("", ".", "..") or "/" in text or "\\" in text:
        raise invalid(
            "bad-name",
            "A name or id is not empty, '.' or '..', and has no '/' or '\\' in it.",
            remedy="Look at the list of those that there are.",
        )
    return quote(text, safe="")


class Http:
    """The API at `http://host[:port]` or `https://…`, asked with a token. Safe for many threads."""

    def __init__(self, api_url: str, token: str, ca_file: Path | None) -> None:
        try:
            url = httpx2.URL(api_url.strip())
        except httpx2.InvalidURL:
            raise _bad_url() from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
            raise _bad_url()
        parsed = parse_token(token)
        self._shown = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._client = httpx2.Client(
            base_url=url,
            headers={
                "Authorization": f"Bearer {format_token(parsed.key_id, parsed.secret).reveal()}",
                "Accept": "application/json, application/problem+json",
                "User-Agent": f"aditus/{__version__}",
            },
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            verify=_trust(ca_file) if url.scheme == "https" else False,
            trust_env=not _is_loopback(url.host),  # nobody's proxy leads to this machine
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str = "",
        patience: float | None = None,
    ) -> Any:
        """The JSON of the answer, None for an empty one. Raises what the server says, or that it did not.

        `patience`: seconds that the server may take, where it is not the usual.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        try:
            with self._client.stream(
                method,
                path,
                params=query,
                json=body,
                headers=headers,
                timeout=httpx2.Timeout(patience or ANSWER_SECONDS, connect=CONNECT_SECONDS),
            ) as response:
                raw = self._read(response)
        except httpx2.TimeoutException as error:
            raise self._unreachable("it does not answer in time") from error
        except httpx2.RequestError as error:
            raise self._failed(error) from error
        try:
            answer = json.loads(raw) if raw else None
        except ValueError:
            raise self.not_aditus(f"HTTP {response.status_code}") from None
        if response.is_success:
            return answer
        raise self._refused(response.status_code, answer)

    @contextlib.contextmanager
    def followed(
        self, path: str, *, query: Mapping[str, str | int] | None = None, accept: str = "text/event-stream"
    ) -> Iterator[Iterator[str]]:
        """The lines of an answer that goes on and on. Raises as `request`, also when it ends early."""
        headers = {"Accept": accept}
        try:
            with self._client.stream("GET", path, headers=headers) as response:
                if not response.is_success:
                    raise self._refused(response.status_code, _parsed(self._read(response)))
                yield response.iter_lines()
        except httpx2.TimeoutException as error:
            raise self._unreachable("it fell silent") from error
        except httpx2.RequestError as error:
            raise self._failed(error) from error

    def not_aditus(self, what: str) -> AditusError:
        """The answer was none that this version of Aditus gives."""
        return AditusError(
            Code.UNAVAILABLE,
            "not-aditus",
            f"{self._shown} answered ({what}), but not as an Aditus of this version ({__version__}) does.",
            remedy="Check the address (ADITUS_API), the server's version, and whether a proxy is in between.",
        )

    def _read(self, response: httpx2.Response) -> bytes:
        raw = bytearray()
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > MAX_ANSWER:
                raise self.not_aditus(f"more than {MAX_ANSWER} bytes")
        return bytes(raw)

    def _refused(self, status: int, answer: object) -> AditusError:
        if not isinstance(answer, dict):
            return self.not_aditus(f"HTTP {status}")
        kind, reason, detail = (answer.get(name) for name in ("type", "reason", "detail"))
        if not (isinstance(kind, str) and isinstance(reason, str) and isinstance(detail, str)):
            return self.not_aditus(f"HTTP {status}")
        try:
            code = Code(kind.removeprefix(PROBLEM_TYPE))
        except ValueError:
            return self.not_aditus(f"HTTP {status}")
        return AditusError(
            code, reason, detail, remedy=str(answer.get("remedy", "")), field=str(answer.get("field", ""))
        )

    def _failed(self, error: httpx2.RequestError) -> AditusError:
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return AditusError(
                    Code.UNAVAILABLE,
                    "api-certificate",
                    f"The certificate of {self._shown} is not to be trusted: {cause.verify_message}.",
                    remedy="Dial a name that it has; name its CA (ca.pem) with --ca-file or SSL_CERT_FILE.",
                )
            if isinstance(cause, OSError) and cause.strerror:
                return self._unreachable(cause.strerror)
        return self._unreachable("the connection failed")

    def _unreachable(self, why: str) -> AditusError:
        return AditusError(
            Code.UNAVAILABLE,
            "api-unreachable",
            f"The API at {self._shown} cannot be reached: {why}.",
            remedy="Check that `aditus serve` runs there, and that ADITUS_API has its address.",
        )


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """The CAs of the system (OpenSSL honours SSL_CERT_FILE and SSL_CERT_DIR), and those of `ca_file`."""
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise invalid(
            "bad-ca-file",
            f"The CA file cannot be used: {error.strerror}.",
            remedy="Name a file with certificates in PEM form.",
            field="ca_file",
        ) from error
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _bad_url() -> AditusError:
    return invalid(
        "bad-api-url",
        "The address of the API is not http://host[:port] or https://host[:port].",
        remedy="Write it in one of these forms (ADITUS_API, or `aditus login`).",
        field="api_url",
    )
