"""A failure tells its reader what happened and what to do."""

from aditus.domain.errors import AditusError, Code, invalid


def test_a_failure_is_read_as_message_and_remedy() -> None:
    failure = AditusError(
        Code.LIMIT, "key-quota", "All 500 keys are in use.", remedy="Revoke one.", field="access_key_id"
    )
    assert str(failure) == "All 500 keys are in use. Revoke one."
    assert (failure.code, failure.reason, failure.field) == (Code.LIMIT, "key-quota", "access_key_id")


def test_a_failure_without_a_remedy_is_its_message() -> None:
    assert str(invalid("bad-spec", "The host is missing.")) == "The host is missing."
    assert invalid("bad-spec", "The host is missing.").code is Code.INVALID
