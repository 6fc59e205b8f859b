"""Values: what is new of them, and that nobody changes one that somebody else holds."""

import dataclasses
import inspect

import pytest

from aditus.domain import happenings, model, people, relays, tenants

VALUES = [
    value
    for module in (happenings, model, people, relays, tenants)
    for value in vars(module).values()
    if inspect.isclass(value) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_values_are_frozen_and_say_what_they_are(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(value, "__dict__") or "__slots__" in vars(value)
    assert value.__doc__
