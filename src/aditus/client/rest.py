"""The REST API as methods. Every failure is an `AditusError`, as the server meant it."""

from typing import Any

from aditus.client.access_keys import AccessKeys
from aditus.client.apps import Apps
from aditus.client.asking import rfc3339
from aditus.client.audit import Audit
from aditus.client.decode import decode
from aditus.client.http import segment
from aditus.client.live import Live
from aditus.domain.keytext import SecretText
from aditus.domain.model import ApiToken, Membership, NewApiToken, Role, UserInfo


class Client(AccessKeys, Apps, Live, Audit):
    """The API at `api_url`, asked as the holder of `token`, about one subscription (`0`: the token's own).

    `region` may be left empty everywhere while the subscription has one region. Times are Unix seconds.
    Raises `AditusError` unavailable `api-unreachable`, `api-certificate` and `not-aditus` besides what the
    server answers. Use it as a context manager, or call `close`. Safe for use from many threads.
    """

    def userinfo(self) -> UserInfo:
        """Who the token is."""
        return self._decoded(_user_info, self._http.request("GET", "/v1/userinfo"))

    def create_token(
        self, name: str, *, role: Role | None = None, expires_at: float | None = None, locator: str = ""
    ) -> NewApiToken:
        """Make a token of one's own. `role` None: that of this token; `locator`: for a team_admin's."""
        body = {
            "name": name,
            "role": role.value if role else None,
            "locator": locator,
            "expires_at": rfc3339(expires_at),
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
