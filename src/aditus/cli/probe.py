"""`aditus probe`: wait until a page answers."""

import http.client
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import click

from aditus.cli.output import say
from aditus.config.address import Address
from aditus.domain.errors import AditusError, Code, invalid

ANSWER_SECONDS = 10.0  # of one try


@click.command(epilog="\b\nExample:\n  aditus probe --http http://127.0.0.1:3127/readyz --retries 60")
@click.option("--http", "url", required=True, metavar="URL", help="The page to ask for.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two tries.",
)
@click.option(
    "--retries", type=click.IntRange(0), default=30, show_default=True, help="Tries after the first one."
)
def command(url: str, interval: float, retries: int) -> None:
    """Ask for a page until it answers with 2xx. Ends with 6 if it never does."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid(
            "bad-url",
            "--http is not a URL that begins with http:// or https://.",
            remedy="For example --http http://127.0.0.1:3127/readyz.",
            field="http",
        )
    why = ""
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(interval)
        why = _ask(url)
        if not why:
            return
        say(f"{attempt + 1}/{retries + 1}: {why}")
    raise AditusError(
        Code.UNAVAILABLE,
        "no-answer",
        f"The page did not answer with 2xx in {retries + 1} tries. The last time: {why}.",
        remedy="Look at the log of the program that it belongs to.",
    )


def _ask(url: str) -> str:
    """Why the page is not there; empty: it is."""
    try:
        with _opener(url).open(url, timeout=ANSWER_SECONDS) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or type(reason).__name__)
    return "" if 200 <= status < 300 else f"status {status}"


def _opener(url: str) -> urllib.request.OpenerDirector:
    is_here = Address(urlsplit(url).hostname or "", 0).is_loopback
    if is_here:  # nobody's proxy leads to this machine
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener()
