"""The REST API as methods. Every failure is an `AditusError`, as the server meant it."""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from aditus.client.decode import decode
from aditus.client.http import Http, segment
from aditus.domain.audit_chain import Verification
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.happenings import Event, KeyEvent, QuotaEvent, TunnelChange, TunnelEvent
from aditus.domain.keytext import SecretText
from aditus.domain.model import (
    AccessKey,
    ApiToken,
    App,
    AppStatus,
    AuditEvent,
    KeyState,
    Membership,
    NewAccessKey,
    NewApiToken,
    Quota,
    RevokeResult,
    Role,
    StrangerRefusal,
    StreamRecord,
    StreamView,
    Subscription,
    SubscriptionInfo,
    SuspendResult,
    TunnelView,
    UserInfo,
)

PAGE = 500  # items asked for at once
VERIFY_SECONDS = 600.0  # a million entries take half a minute

T = TypeVar("T")


class Client:
    """The API at `api_url`, asked as the holder of `token`, about one subscription (`0`: the token's own).

    `region` may be left empty everywhere while the subscription has one region. Times are Unix seconds.
    Raises `AditusError` unavailable `api-unreachable`, `api-certificate` and `not-aditus` besides what the
    server answers. Use it as a context manager, or call `close`. Safe for use from many threads.
    """

    def __init__(
        self, api_url: str, token: str, ca_file: Path | None = None, *, subscription: str = "0"
    ) -> None:
        self._subscription = f"/v1/subscriptions/{segment(subscription)}"
        self._http = Http(api_url, token, ca_file)
        self._only_region = ""

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- who, and where ---

    def userinfo(self) -> UserInfo:
        """Who the token is."""
        return self._decoded(_user_info, self._http.request("GET", "/v1/userinfo"))

    def subscription(self) -> SubscriptionInfo:
        """The subscription, and how much of its quotas is used."""
        return self._decoded(_subscription_info, self._http.request("GET", self._subscription))

    def audit_events(self) -> Iterator[AuditEvent]:
        """What was done, newest first; asks for a page when it is needed."""
        return self._pages(AuditEvent, f"{self._subscription}/audit-events", {})

    def verify_audit(self, head: str = "") -> Verification:
        """Have the server look at its whole audit chain; `head` is one that was kept, `SEQUENCE:HASH`."""
        query = {"head": head} if head else {}
        answer = self._http.request(
            "GET", f"{self._subscription}/audit-events/verify", query=query, patience=VERIFY_SECONDS
        )
        return self._decoded(lambda data: decode(Verification, data), answer)

    def export_audit(self, since: float | None = None) -> Iterator[str]:
        """Every audit entry of the organisation as a line of JSON, oldest first; `since` in Unix seconds."""
        query = {} if since is None else {"since": str(_rfc3339(since))}
        path = f"{self._subscription}/audit-events/export"
        with self._http.followed(path, query=query, accept="application/x-ndjson") as lines:
            yield from lines

    def stranger_refusals(self) -> tuple[StrangerRefusal, ...]:
        """Who was refused at the relays without having proved anything, newest first."""
        return tuple(self._pages(StrangerRefusal, f"{self._subscription}/stranger-refusals", None))

    # --- access keys ---

    def generate_key(
        self,
        access_key_id: str,
        capability: str,
        *,
        region: str = "",
        description: str = "",
        expires_at: float | None = None,
        public_key: bytes | None = None,
        allowed_ports: Sequence[int] | None = None,
        allowed_sources: Sequence[str] | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Generate a key. With `public_key` (32 bytes) `secret` is None: it stays with whoever made it.

        `allowed_ports` and `allowed_sources`: None is any, an empty sequence none.
        """
        body: dict[str, object] = {
            "access_key_id": access_key_id,
            "capability": capability,
            "description": description,
            "expires_at": _rfc3339(expires_at),
            "allowed_ports": None if allowed_ports is None else list(allowed_ports),
            "allowed_sources": None if allowed_sources is None else list(allowed_sources),
        }
        if public_key is not None:
            body["public_key"] = _base64url(public_key)
        answer = self._http.request("POST", self._keys(region), body=body, idempotency_key=idempotency_key)
        return self._decoded(_new_key, answer)

    def list_keys(self, *, region: str = "", state: KeyState | None = None) -> Iterator[AccessKey]:
        """Keys, oldest first; asks for a page when it is needed."""
        return self._pages(AccessKey, self._keys(region), {"state": state.value} if state else {})

    def show_key(self, access_key_id: str, *, region: str = "") -> AccessKey:
        """The unrevoked key of this ID, else the newest revoked one."""
        return self._one(AccessKey, "GET", self._key(access_key_id, region))

    def update_key(self, access_key_id: str, changes: Mapping[str, object], *, region: str = "") -> AccessKey:
        """Change what is named alone: `description`, `expires_at`, `allowed_ports`, `allowed_sources`.

        None: never expires, any port, any source. A later `expires_at` revives an expired key.
        """
        body = dict(changes)
        if isinstance(expires_at := body.get("expires_at"), float | int):
            body["expires_at"] = _rfc3339(expires_at)
        return self._one(AccessKey, "PATCH", self._key(access_key_id, region), body)

    def rotate_key(
        self,
        access_key_id: str,
        *,
        region: str = "",
        grace: float | None = None,
        now: bool = False,
        public_key: bytes | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Give a key a second secret; `grace` seconds after its first use, or `now`, the old one ends."""
        body: dict[str, object] = {"grace": grace, "now": now}
        if public_key is not None:
            body["public_key"] = _base64url(public_key)
        answer = self._http.request(
            "POST", f"{self._key(access_key_id, region)}/rotate", body=body, idempotency_key=idempotency_key
        )
        return self._decoded(_new_key, answer)

    def revoke_keys(
        self, access_key_ids: Sequence[str], *, region: str = "", dry_run: bool = False
    ) -> tuple[RevokeResult, ...]:
        """Revoke 1 to 500 keys, or tell what that would cut; one result per id, in the order given."""
        body = {"access_key_ids": list(access_key_ids), "dry_run": dry_run}
        answer = self._http.request("POST", f"{self._keys(region)}/revoke", body=body)
        return self._decoded(
            lambda data: tuple(decode(RevokeResult, result) for result in data["results"]), answer
        )

    def suspend_key(self, access_key_id: str, *, region: str = "") -> SuspendResult:
        """Stop a key until it is resumed; its tunnels are cut."""
        return self._one(SuspendResult, "POST", f"{self._key(access_key_id, region)}/suspend")

    def resume_key(self, access_key_id: str, *, region: str = "") -> AccessKey:
        """Let a suspended key work again."""
        return self._one(AccessKey, "POST", f"{self._key(access_key_id, region)}/resume")

    # --- apps: `app` is an app_id or a name ---

    def create_app(self, name: str, capability: str) -> App:
        """Create an app."""
        return self._one(App, "POST", f"{self._subscription}/apps", {"name": name, "capability": capability})

    def list_apps(self) -> Iterator[App]:
        """Apps, oldest first; asks for a page when it is needed."""
        return self._pages(App, f"{self._subscription}/apps", {})

    def show_app(self, app: str) -> App:
        """One app, with its association."""
        return self._one(App, "GET", self._app(app))

    def rename_app(self, app: str, name: str) -> App:
        """Give an app another name; its app_id and its association stay."""
        return self._one(App, "PATCH", self._app(app), {"name": name})

    def app_status(self, app: str) -> AppStatus:
        """What an app could reach now."""
        return self._one(AppStatus, "GET", f"{self._app(app)}/status")

    def delete_app(self, app: str) -> None:
        """Forget an app and its association."""
        self._http.request("DELETE", self._app(app))

    def associate(self, app: str, access_key_id: str, *, region: str = "") -> App:
        """Give an app its one key, in place of the one it had. Without `region`, the server looks in all."""
        query = {"tunnelKey": access_key_id, **({"region": region} if region else {})}
        answer = self._http.request("PUT", f"{self._app(app)}/env/tunnelkey", query=query)
        return self._decoded(lambda data: decode(App, data), answer)

    def dissociate(self, app: str) -> App:
        """Take an app's key away, dead or alive."""
        return self._one(App, "DELETE", f"{self._app(app)}/env/tunnelkey")

    # --- what is live now ---

    def tunnels(self) -> tuple[TunnelView, ...]:
        """The live tunnels, oldest first."""
        return tuple(self._pages(TunnelView, f"{self._subscription}/tunnels", None))

    def streams(self) -> tuple[StreamView, ...]:
        """The live streams, oldest first."""
        return tuple(self._pages(StreamView, f"{self._subscription}/streams", None))

    def stream_records(
        self,
        *,
        access_key_id: str = "",
        port: int | None = None,
        reason: str = "",
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[StreamRecord]:
        """Finished streams of the last 7 days, newest first; asks for a page when it is needed."""
        given = {
            "access_key_id": access_key_id,
            "port": "" if port is None else str(port),
            "reason": reason,
            "since": _rfc3339(since) or "",
            "until": _rfc3339(until) or "",
        }
        wanted = {name: value for name, value in given.items() if value}
        return self._pages(StreamRecord, f"{self._subscription}/stream-records", wanted)

    def cut_tunnel(self, tunnel_id: str) -> None:
        """End one tunnel; its agent may come back."""
        self._http.request("DELETE", f"{self._subscription}/tunnels/{segment(tunnel_id)}")

    @contextlib.contextmanager
    def events(self) -> Iterator[Iterator[Event]]:
        """What happens to keys, tunnels and quotas since the block began: read the lists within it.

        The iterator ends only by raising: unavailable `events-lost` when some were, or the server's own word.
        Then read the lists anew, in a new block.
        """
        with self._http.followed(f"{self._subscription}/events") as lines:
            told = _told(lines)
            if next(told, ("", None))[0] != "ready":
                raise self._http.not_aditus("without events")
            yield self._events(told)

    def _events(self, told: Iterator[tuple[str, Any]]) -> Iterator[Event]:
        for kind, data in told:
            if kind == "key":
                yield KeyEvent(self._decoded(lambda data: decode(AccessKey, data), data))
            elif kind == "tunnel":
                yield self._decoded(_tunnel_event, data)
            elif kind == "quota":
                yield QuotaEvent(self._decoded(lambda data: decode(Quota, data), data))
            elif kind == "ended":
                raise AditusError(
                    Code.FORBIDDEN, str(data["reason"]), str(data["detail"]), remedy="Use another token."
                )
        raise AditusError(
            Code.UNAVAILABLE,
            "events-lost",
            "The stream of events has ended, and some may be lost.",
            remedy="Follow again, and read the lists anew.",
        )

    # --- API tokens ---

    def create_token(
        self, name: str, *, role: Role | None = None, expires_at: float | None = None, locator: str = ""
    ) -> NewApiToken:
        """Make a token of one's own. `role` None: that of this token; `locator`: for a team_admin's."""
        body = {
            "name": name,
            "role": role.value if role else None,
            "locator": locator,
            "expires_at": _rfc3339(expires_at),
        }
        answer = self._http.request("POST", "/v1/tokens", body=body)
        return self._decoded(
            lambda data: NewApiToken(decode(ApiToken, data), SecretText(data["token"])), answer
        )

    def list_tokens(self) -> tuple[ApiToken, ...]:
        """One's own unrevoked tokens, oldest first."""
        return tuple(self._pages(ApiToken, "/v1/tokens", None))

    def revoke_token(self, token_id: str) -> None:
        """End a token of one's own."""
        self._http.request("DELETE", f"/v1/tokens/{segment(token_id)}")

    # --- how ---

    def _keys(self, region: str) -> str:
        return f"{self._subscription}/regions/{segment(region or self._one_region())}/access-keys"

    def _key(self, access_key_id: str, region: str) -> str:
        return f"{self._keys(region)}/{segment(access_key_id)}"

    def _app(self, app: str) -> str:
        return f"{self._subscription}/apps/{segment(app)}"

    def _one_region(self) -> str:
        """The region of a subscription that has one; asked for once."""
        if not self._only_region:
            regions = self.subscription().subscription.regions
            if not regions:
                raise AditusError(
                    Code.NOT_FOUND,
                    "no-region",
                    "The subscription has no region.",
                    remedy="Ask the operator of the server for one.",
                )
            if len(regions) > 1:
                raise invalid(
                    "region-needed",
                    f"The subscription has several regions: {', '.join(regions)}.",
                    remedy="Say which one is meant with --region.",
                    field="region",
                )
            self._only_region = regions[0]
        return self._only_region

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


def _told(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, each with its JSON."""
    kind, data = "", ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif not line and kind:
            yield kind, json.loads(data)
            kind, data = "", ""


def _tunnel_event(data: Any) -> TunnelEvent:
    return TunnelEvent(TunnelChange(data["change"]), decode(TunnelView, data["tunnel"]))


def _new_key(data: Any) -> NewAccessKey:
    secret = data["secret_access_key"]
    return NewAccessKey(decode(AccessKey, data), None if secret is None else SecretText(secret))


def _user_info(data: Any) -> UserInfo:
    organization = data["organizations"][0]
    return UserInfo(
        caller_id=data["caller_id"],
        name=data["name"],
        organization_id=organization["organization_id"],
        organization=organization["name"],
        role=Role(organization["role"]),
        subscriptions=tuple(
            Membership(one["locator"], one["name"], Role(one["roles"][0])) for one in data["subscriptions"]
        ),
    )


def _subscription_info(data: Any) -> SubscriptionInfo:
    quotas = data["quotas"]["access_keys"]
    return SubscriptionInfo(
        decode(Subscription, data),
        tuple(Quota(region, quota["used"], quota["limit"]) for region, quota in quotas.items()),
    )


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _rfc3339(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")
