"""Where an agent's secret access key comes from: option, file, environment, profile, in this order."""

from dataclasses import dataclass

from aditus.config.files import STDIN, read_secret
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText, format_access_key, parse_access_key

VARIABLE = "ADITUS_ACCESS_KEY"
ON_COMMAND_LINE = (
    "the secret access key is on the command line, where other users of this machine and the shell's history"
    f" see it; --access-key-file or {VARIABLE} keep it out of sight"
)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A well-formed secret, where it was found, and warnings about that place."""

    secret: SecretText
    source: str
    notices: tuple[str, ...] = ()


def find_access_key(option: str | None, file: str | None, surroundings: Surroundings) -> FoundKey | None:
    """The secret of the command line, of `file` or of the environment. Raises `AditusError` (invalid)."""
    if option is not None and file is not None:
        raise invalid(
            "two-secrets",
            "The secret access key is given twice, as text and as a file.",
            remedy="Leave --access-key away.",
            field="access_key",
        )
    if option is not None:
        return check_access_key(SecretText(option), "--access-key", (ON_COMMAND_LINE,))
    if file is not None:
        secret, notices = read_secret(file, "--access-key-file", surroundings)
        return check_access_key(secret, "standard input" if file == STDIN else file, notices)
    if variable := surroundings.variable(VARIABLE):
        return check_access_key(SecretText(variable), VARIABLE)
    return None


def check_access_key(secret: SecretText, source: str, notices: tuple[str, ...] = ()) -> FoundKey:
    """`secret` in its normal form, checked offline. Raises `AditusError` (invalid) that names the source."""
    try:
        parsed = parse_access_key(secret.reveal())
    except AditusError as error:
        raise invalid(
            error.reason,
            f"The secret access key from {source} cannot be right. {error.message}",
            remedy=error.remedy,
            field=error.field,
        ) from None
    return FoundKey(format_access_key(parsed.region, parsed.key_id, parsed.secret), source, notices)
