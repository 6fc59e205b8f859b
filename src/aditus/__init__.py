"""Aditus: self-hosted hybrid connectivity with revocable access keys.

The rooms of this package and the arrows between them are drawn in `ARCHITECTURE.md`. `aditus.app` is the SDK
(docs/sdk.md); it is loaded when it is asked for, so that the import of the package stays light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aditus.wiring.sdk import app

__version__ = "0.1.0"
__all__ = ["__version__", "app"]


def __getattr__(name: str) -> Any:
    if name == "app":
        from aditus.wiring.sdk import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
