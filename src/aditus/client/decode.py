"""From the API's JSON to the values of `domain`, by their own type hints."""

import dataclasses
import types
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: Callable[..., T], data: Any) -> T:
    """A dataclass from an object with the same names; times are RFC 3339 there and Unix seconds here.

    Raises `ValueError`, `TypeError` or `KeyError` for what does not fit; unknown names are passed over.
    """
    if not isinstance(data, Mapping):
        raise TypeError("an object is wanted")
    fields = _fields(kind)
    return kind(**{name: _value(hint, data[name]) for name, hint in fields if name in data})


@cache
def _fields(kind: Hashable) -> tuple[tuple[str, Any], ...]:
    """The names and type hints of a dataclass."""
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))  # type: ignore[arg-type]


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) is types.UnionType:
        if value is None:
            return None
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError("a list is wanted")
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if origin is dict:
        return dict(value)
    if dataclasses.is_dataclass(hint):
        return decode(hint, value)  # type: ignore[arg-type]
    if issubclass(hint, Enum):
        return hint(value)
    if hint is float and isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint):
        raise TypeError(f"a {hint.__name__} is wanted")
    return value
