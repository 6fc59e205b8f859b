"""Aditus: self-hosted hybrid connectivity with revocable access keys.

The rooms of this package and the arrows between them are drawn in `ARCHITECTURE.md`.
"""

__version__ = "0.1.0"
