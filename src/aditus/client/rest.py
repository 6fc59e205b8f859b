"""The REST API as methods. Every failure is an `AditusError`, as the server meant it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from aditus.domain.model import (
    AccessKey,
    ApiToken,
    App,
    AppStatus,
    AuditEvent,
    KeyState,
    NewAccessKey,
    NewApiToken,
    RevokeResult,
    Role,
    StreamView,
    SubscriptionInfo,
    SuspendResult,
    TunnelView,
    UserInfo,
)


class Client:
    """The API at `api_url`, asked as the holder of `token`, about one subscription (`0`: the token's own).

    `region` may be left empty everywhere while the subscription has one region. Times are Unix seconds.
    Raises `AditusError` unavailable `api-unreachable` and `not-aditus` besides what the server answers.
    Use it as a context manager, or call `close`. One at a time per thread.
    """

    def __init__(
        self, api_url: str, token: str, ca_file: Path | None = None, *, subscription: str = "0"
    ) -> None: ...

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def close(self) -> None: ...

    def userinfo(self) -> UserInfo: ...

    def subscription(self) -> SubscriptionInfo: ...

    def generate_key(
        self,
        access_key_id: str,
        capability: str,
        *,
        region: str = "",
        description: str = "",
        expires_at: float | None = None,
        public_key: bytes | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey: ...

    def list_keys(self, *, region: str = "", state: KeyState | None = None) -> Iterator[AccessKey]: ...

    def show_key(self, access_key_id: str, *, region: str = "") -> AccessKey: ...

    def describe_key(self, access_key_id: str, description: str, *, region: str = "") -> AccessKey: ...

    def set_key_expiry(
        self, access_key_id: str, expires_at: float | None, *, region: str = ""
    ) -> AccessKey: ...

    def revoke_keys(
        self, access_key_ids: Sequence[str], *, region: str = "", dry_run: bool = False
    ) -> tuple[RevokeResult, ...]: ...

    def suspend_key(self, access_key_id: str, *, region: str = "") -> SuspendResult: ...

    def resume_key(self, access_key_id: str, *, region: str = "") -> AccessKey: ...

    def create_app(self, name: str, capability: str) -> App: ...

    def list_apps(self) -> Iterator[App]: ...

    def show_app(self, app: str) -> App: ...

    def app_status(self, app: str) -> AppStatus: ...

    def delete_app(self, app: str) -> None: ...

    def associate(self, app: str, access_key_id: str, *, region: str = "") -> App: ...

    def dissociate(self, app: str) -> App: ...

    def tunnels(self) -> tuple[TunnelView, ...]: ...

    def streams(self) -> tuple[StreamView, ...]: ...

    def cut_tunnel(self, tunnel_id: str) -> None: ...

    def audit_events(self) -> Iterator[AuditEvent]: ...

    def create_token(
        self, name: str, *, role: Role | None = None, expires_at: float | None = None, locator: str = ""
    ) -> NewApiToken: ...

    def list_tokens(self) -> tuple[ApiToken, ...]: ...

    def revoke_token(self, token_id: str) -> None: ...
