"""What every test of a use case says of a failure: its code, its reason, and that it tells what to do."""

from collections.abc import Callable

import pytest

from aditus.domain.errors import AditusError, Code


def refused(code: Code, reason: str, call: Callable[[], object]) -> AditusError:
    """The failure of a call that must fail so."""
    with pytest.raises(AditusError) as raised:
        call()
    assert (raised.value.code, raised.value.reason) == (code, reason)
    assert raised.value.remedy
    return raised.value
