"""Apps and their associations: which cloud program may use the tunnels of which key."""

from aditus.domain.model import App, AppStatus, Caller, Page


class Apps:
    """The use cases of apps. `app` is an app_id or a name."""

    def create(
        self, caller: Caller, locator: str, name: str, capability: str, *, idempotency_key: str = ""
    ) -> App: ...

    def list(self, caller: Caller, locator: str, *, cursor: str = "", limit: int = 100) -> Page[App]: ...

    def show(self, caller: Caller, locator: str, app: str) -> App: ...

    def status(self, caller: Caller, locator: str, app: str) -> AppStatus: ...

    def delete(self, caller: Caller, locator: str, app: str) -> None: ...

    def associate(
        self, caller: Caller, locator: str, app: str, access_key_id: str, *, region: str = ""
    ) -> App: ...

    def dissociate(self, caller: Caller, locator: str, app: str) -> App: ...
