"""Proofs: what convinces a relay, and everything that must not."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aditus.crypto.keys import generate_pair
from aditus.crypto.proof import LEEWAY, LIFETIME, MAX_BEARER, Ed25519Verifier, KeySigner
from aditus.domain.keytext import ParsedKey
from aditus.domain.ports import ProofClaims, ProofVerdict, Signer, Verifier

NOW = 1_750_000_000.5
AUDIENCE = "relay.example:8443"
PAIR, OTHER = generate_pair(), generate_pair()
KEY_ID = "AbCdEf012345"
SIGNER: Signer = KeySigner(ParsedKey("eu", KEY_ID, PAIR.secret))
VERIFIER: Verifier = Ed25519Verifier()

OK = ProofVerdict(True)
BAD = ProofVerdict(False, "bad-proof")
SKEW = ProofVerdict(False, "clock-skew")

HEADER = {"alg": "EdDSA", "typ": "aditus-proof+jwt", "kid": KEY_ID}
PAYLOAD = {"aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 60, "rgn": "eu"}


def check(bearer: str, now: float = NOW, public: bytes = PAIR.public) -> ProofVerdict:
    return VERIFIER.check_bearer(bearer, public, ["localhost:8443", AUDIENCE], now)


def encode(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: object, payload: object, secret: bytes = PAIR.secret) -> str:
    """A proof with any content, truly signed: what a hostile holder of a key can send."""
    body = f"{encode(header)}.{encode(payload)}"
    return f"{body}.{encode(Ed25519PrivateKey.from_private_bytes(secret).sign(body.encode()))}"


# --- the good case ----------------------------------------------------------------------------


def test_a_signer_convinces_the_verifier() -> None:
    bearer = SIGNER.bearer(AUDIENCE, NOW)
    assert check(bearer) == OK
    assert VERIFIER.claims(bearer) == ProofClaims(KEY_ID, "eu", AUDIENCE)
    assert len(bearer) < 400


def test_a_proof_is_what_the_protocol_page_says() -> None:
    bearer = SIGNER.bearer(AUDIENCE, NOW)
    assert jwt.get_unverified_header(bearer) == HEADER
    assert jwt.decode(bearer, options={"verify_signature": False}) == PAYLOAD
    assert check(signed(HEADER, PAYLOAD)) == OK


def test_an_app_has_no_region() -> None:
    bearer = KeySigner(ParsedKey("", KEY_ID, PAIR.secret)).bearer(AUDIENCE, NOW)
    assert VERIFIER.claims(bearer).region == ""
    assert check(bearer) == OK


def test_a_later_version_may_claim_more() -> None:
    assert check(signed(HEADER, PAYLOAD | {"ver": 2})) == OK


def test_a_signer_does_not_show_its_secret() -> None:
    assert repr(SIGNER) == f"KeySigner(key_id='{KEY_ID}', region='eu')"
    assert (SIGNER.key_id, SIGNER.region) == (KEY_ID, "eu")
    assert not hasattr(SIGNER, "__dict__")


# --- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        (0, OK),
        (LIFETIME + LEEWAY - 1, OK),
        (LIFETIME + LEEWAY + 1, SKEW),
        (-LEEWAY, OK),
        (-LEEWAY - 1, SKEW),
        (86_400 * 365, SKEW),
    ],
)
def test_clocks_may_differ_by_half_a_minute(late: float, verdict: ProofVerdict) -> None:
    assert check(SIGNER.bearer(AUDIENCE, NOW), now=NOW + late) == verdict


def test_only_who_holds_the_key_hears_of_the_clock() -> None:
    """Otherwise a stranger could learn which keys exist, and a wrong key would retry for ever."""
    assert check(SIGNER.bearer(AUDIENCE, NOW - 3600), public=OTHER.public) == BAD
    assert check(SIGNER.bearer("evil.example", NOW - 3600)) == BAD


@pytest.mark.parametrize("lifetime", [61, 3600, 0, -1, 10**30])
def test_a_proof_that_would_be_good_for_long_or_never_is_bad(lifetime: int) -> None:
    assert check(signed(HEADER, PAYLOAD | {"exp": int(NOW) + lifetime})) == BAD


# --- what is not a proof ----------------------------------------------------------------------


def without(claim: str) -> dict[str, Any]:
    return {name: value for name, value in PAYLOAD.items() if name != claim}


@pytest.mark.parametrize(
    "bearer",
    [
        signed(HEADER, PAYLOAD, OTHER.secret),
        signed(HEADER | {"typ": "JWT"}, PAYLOAD),
        signed({"alg": "EdDSA", "kid": KEY_ID}, PAYLOAD),
        signed(HEADER | {"alg": "none"}, PAYLOAD),
        signed(HEADER | {"alg": "HS256"}, PAYLOAD),
        signed(HEADER | {"alg": "Ed25519"}, PAYLOAD),
        signed(HEADER | {"alg": ["EdDSA"]}, PAYLOAD),
        signed(HEADER | {"kid": 7}, PAYLOAD),
        signed(HEADER | {"kid": "../../x"}, PAYLOAD),
        signed({"alg": "EdDSA", "typ": "aditus-proof+jwt"}, PAYLOAD),
        signed(HEADER | {"jwk": {}}, PAYLOAD),
        signed(HEADER | {"crit": ["b64"], "b64": False}, PAYLOAD),
        signed([], PAYLOAD),
        signed(HEADER, []),
        signed(HEADER, b"\xff"),
        signed(HEADER, b"[" * 1200),
        signed(b"[" * 1200, PAYLOAD),
        signed(HEADER, PAYLOAD | {"aud": [AUDIENCE]}),
        signed(HEADER, PAYLOAD | {"rgn": "EU!"}),
        signed(HEADER, PAYLOAD | {"rgn": None}),
        signed(HEADER, PAYLOAD | {"iat": True}),
        signed(HEADER, PAYLOAD | {"iat": NOW}),
        signed(HEADER, b'{"aud":"relay.example:8443","iat":NaN,"exp":Infinity,"rgn":"eu"}'),
        *(signed(HEADER, without(claim)) for claim in PAYLOAD),
        signed(HEADER, PAYLOAD)[:-4],
        signed(HEADER, PAYLOAD).rpartition(".")[0] + ".",
        jwt.encode(PAYLOAD, PAIR.public, "HS256", {"typ": "aditus-proof+jwt", "kid": KEY_ID}),
        jwt.encode(PAYLOAD, "", "none", {"typ": "aditus-proof+jwt", "kid": KEY_ID}),
        "",
        "..",
        "a.b.c",
        "\udc80.é.\x00",
        signed(HEADER, PAYLOAD | {"pad": "x" * MAX_BEARER}),
    ],
)
def test_all_else_is_a_bad_proof(bearer: str) -> None:
    assert check(bearer) == BAD


def test_a_proof_for_another_relay_is_bad_here() -> None:
    assert check(SIGNER.bearer("evil.example", NOW)) == BAD
    assert check(SIGNER.bearer("relay.example", NOW)) == BAD


@given(
    st.text(max_size=200) | st.tuples(*[st.binary(max_size=60)] * 3).map(lambda p: ".".join(map(encode, p)))
)
def test_any_text_is_refused_without_another_error_and_without_echo(bearer: str) -> None:
    assert check(bearer) == BAD
    with pytest.raises(ValueError, match=r"^the bearer is not a proof of an Aditus key$"):
        VERIFIER.claims(bearer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["alg", "typ", "kid"]) | st.sampled_from(["aud", "iat", "exp", "rgn"]), json_values)
def test_no_type_in_any_place_causes_another_error(place: str, value: object) -> None:
    header: dict[str, object] = dict(HEADER)
    payload: dict[str, object] = dict(PAYLOAD)
    (header if place in header else payload)[place] = value
    assert check(signed(header, payload)) in (OK, BAD, SKEW)


@given(st.integers(0, 1_000_000), st.sampled_from("ABab01-_."))
def test_no_single_change_survives_the_signature(at: int, char: str) -> None:
    bearer = SIGNER.bearer(AUDIENCE, NOW)
    at %= len(bearer) - 1  # the last digit carries two bits that base64 ignores
    changed = bearer[:at] + char + bearer[at + 1 :]
    assert check(changed) == (OK if changed == bearer else BAD)


@pytest.mark.parametrize(
    "bearer", ["", "a.b.c", signed(HEADER | {"typ": "JWT"}, PAYLOAD), signed(HEADER, without("rgn"))]
)
def test_what_is_no_proof_has_no_claims(bearer: str) -> None:
    with pytest.raises(ValueError, match="not a proof"):
        VERIFIER.claims(bearer)


def test_claims_are_not_verified() -> None:
    assert VERIFIER.claims(signed(HEADER, PAYLOAD, OTHER.secret)).key_id == KEY_ID


# --- the second step --------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_a_signature_is_good_for_its_message_and_key_alone(message: bytes) -> None:
    signature = SIGNER.sign(message)
    assert len(signature) == 64
    assert VERIFIER.check_signature(message, signature, PAIR.public)
    assert not VERIFIER.check_signature(message + b"x", signature, PAIR.public)
    assert not VERIFIER.check_signature(message, signature, OTHER.public)
    assert not VERIFIER.check_signature(message, signature[:-1], PAIR.public)
    assert not VERIFIER.check_signature(message, b"", PAIR.public)


def test_a_public_key_of_another_size_is_a_defect() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        VERIFIER.check_signature(b"", bytes(64), bytes(31))
    with pytest.raises(ValueError, match="32 bytes"):
        check(SIGNER.bearer(AUDIENCE, NOW), public=bytes(33))
