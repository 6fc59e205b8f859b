"""Apps by the API, and which key each of them uses. `app` is an app_id or a name."""

from collections.abc import Iterator

from aditus.client.asking import Asking
from aditus.client.decode import decode
from aditus.client.http import segment
from aditus.domain.model import App, AppStatus


class Apps(Asking):
    """The apps of one subscription."""

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

    def _app(self, app: str) -> str:
        return f"{self._subscription}/apps/{segment(app)}"
