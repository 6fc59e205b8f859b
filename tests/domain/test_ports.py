"""The sockets between rooms: values that cannot be changed on the way, questions that say what they mean."""

import inspect
from dataclasses import FrozenInstanceError

import pytest

from aditus.domain.ports import KeySource, LiveRelays, ProofClaims, ProofVerdict, Signer, Verifier


def test_a_verdict_is_a_yes_or_a_no_with_its_reason() -> None:
    assert ProofVerdict(True).reason == ""
    assert ProofVerdict(False, "clock-skew") != ProofVerdict(False, "bad-proof")
    with pytest.raises(FrozenInstanceError):
        ProofVerdict(False).ok = True  # type: ignore[misc]


def test_claims_name_the_key_the_region_and_the_audience() -> None:
    claims = ProofClaims("AbCdEf012345", "eu", "relay.example:8443")
    assert (claims.key_id, claims.region, claims.audience) == ("AbCdEf012345", "eu", "relay.example:8443")


@pytest.mark.parametrize("port", [KeySource, LiveRelays, Signer, Verifier])
def test_every_method_of_a_port_says_what_it_promises(port: type) -> None:
    methods = [method for name, method in inspect.getmembers(port, inspect.isfunction) if name[0] != "_"]
    assert methods
    assert all(method.__doc__ for method in methods)
