"""Stylesheet, scripts and pictures: read once, under an address that changes with what they hold."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    raw: bytes
    zipped: bytes
    media_type: str


class StaticFiles:
    """All files of `static/`. A browser keeps them: with a new version they have another address."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        digest = hashlib.sha256()
        for path in sorted(files(__package__).joinpath("static").iterdir(), key=lambda path: path.name):
            kind = path.name.rpartition(".")[2]
            if kind not in TYPES:
                continue
            raw = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + raw)
            self._files[path.name] = _File(raw, gzip.compress(raw, 9, mtime=0), TYPES[kind])
        self._folder = f"/static/{digest.hexdigest()[:12]}"

    def url(self, name: str) -> str:
        """Where a file is; a name that is none is a defect of the page."""
        if name not in self._files:
            raise KeyError(name)
        return f"{self._folder}/{name}"

    def names(self, kind: str) -> list[str]:
        """The names of all files of a kind."""
        return [name for name in self._files if name.endswith(f".{kind}")]

    def route(self) -> Route:
        """The route of all of them."""

        async def serve(request: Request) -> Response:
            found = self._files.get(request.path_params["name"])
            if found is None:
                return Response("There is no such file.\n", 404, media_type="text/plain")
            headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
            if "gzip" in request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
                return Response(found.zipped, headers=headers, media_type=found.media_type)
            return Response(found.raw, headers=headers, media_type=found.media_type)

        return Route(f"{self._folder}/{{name}}", serve)
