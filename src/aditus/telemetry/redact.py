"""Takes secrets out of log lines at the last moment, when message, fields and traceback are one text."""

import logging
import re

from aditus.domain.keytext import SECRET_PATTERN, mask

MASKED = "****"
BROKEN = "a log line cannot be formatted"

_TOKEN = r"[0-9A-Za-z._~+/=-]"
_SECRET = re.compile(SECRET_PATTERN, re.ASCII)
_OTHERS = (
    # An Authorization or Proxy-Authorization header of any scheme: as sent, as a dict, as JSON.
    re.compile(rf"(?i)(authorization[\\'\"]*\s*[:=,]\s*(?:b(?=['\"]))?[\\'\"]*)(?:[a-z]+\s+)?{_TOKEN}+"),
    # A bearer proof or token without its header's name; prose ("bearer proof") has shorter words.
    re.compile(rf"(?i)(\bbearer\s+){_TOKEN}{{16,}}"),
    # The password in a URL, such as that of a proxy or a database.
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{1,31}://[^\s/:@]*:)[^\s/@\"]+(?=@)"),
)


def redact(text: str) -> str:
    """`text` with every Aditus secret, authorization value and password in a URL replaced by its mask."""
    for pattern in _OTHERS:
        text = pattern.sub(rf"\1{MASKED}", text)
    return _SECRET.sub(lambda found: mask(found[0]), text)


class RedactingFormatter(logging.Formatter):
    """A formatter whose lines have no secrets, from wherever in the record they come.

    Subclasses write `line`. A record that cannot be formatted (a wrong number of arguments) becomes a
    line that says where it was made: logging's own complaint would print the raw arguments.
    """

    def line(self, record: logging.LogRecord) -> str:
        """The text of one record, before redaction."""
        return super().format(record)

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = self.line(record)
        except Exception as error:  # noqa: BLE001  whatever a caller's value raises; reported as a line itself
            broken = logging.LogRecord(
                record.name, record.levelno, record.pathname, record.lineno, BROKEN, (), None
            )
            broken.fields = {"where": f"{record.pathname}:{record.lineno}", "error": type(error).__name__}
            text = self.line(broken)
        return redact(text)
