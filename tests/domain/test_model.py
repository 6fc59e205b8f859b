"""Values: what is new of them, and that nobody changes one that somebody else holds."""

import dataclasses
import inspect

import pytest

from aditus.domain import happenings, model, people, tenants
from aditus.domain.model import KeyRefusal, KeyUse, RelayReport, StrangerRefusal

VALUES = [
    value
    for module in (happenings, model, people, tenants)
    for value in vars(module).values()
    if inspect.isclass(value) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_values_are_frozen_and_say_what_they_are(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(value, "__dict__") or "__slots__" in vars(value)
    assert value.__doc__


def test_a_report_says_whether_there_is_anything_in_it() -> None:
    assert not RelayReport()
    assert RelayReport(uses=(KeyUse("k", bytes(32), 0.0, "", "", ""),))
    assert RelayReport(key_refusals=(KeyRefusal("k", "expired", "", 1),))
    assert RelayReport(stranger_refusals=(StrangerRefusal(1, "", "bad-proof", 1),))
