"""The console entry: finds the command, runs it, and turns whatever went wrong into one line and a code."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from aditus import __version__
from aditus.cli import exits
from aditus.domain.errors import AditusError, invalid

COMMANDS = {
    "serve": "serve",
    "connect": "connect",
    "sidecar": "sidecar",
    "doctor": "doctor",
    "configure": "configure",
    "probe": "probe",
    "login": "login",
    "whoami": "whoami",
    "keys": "keys",
    "keypair": "keypair",
    "apps": "apps",
    "tunnels": "tunnels",
    "streams": "streams",
    "audit": "audit",
    "tokens": "tokens",
    "admin": "admin",
    "completion": "completion",
}
"""Each command and its module here, which has it as `command`, in the order of `--help`."""

DEBUG_VARIABLE = "ADITUS_DEBUG"


class LazyGroup(click.Group):
    """Imports a command when it is asked for: the agent loads nothing of the server, `--version` nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"aditus.cli.{COMMANDS[cmd_name]}").command
        return command


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="aditus", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help=f"Show where an internal error arose (or {DEBUG_VARIABLE}=1).")
def root(debug: bool) -> None:
    """Reach private services from the cloud, through tunnels that revocable access keys open."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return the exit code. Raises nothing."""
    arguments = sys.argv[1:] if args is None else list(args)
    debug = "--debug" in arguments or os.environ.get(DEBUG_VARIABLE) == "1"
    try:
        _check_text(arguments)
        result = root.main(arguments, prog_name="aditus", standalone_mode=False)
    except AditusError as error:
        return _say(str(error), exits.exit_code(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return exits.USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "aditus"
        return _say(f"{error.format_message()} Try: {path} --help", exits.USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), exits.FAILURE)
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last place: whatever it is, people get one line
        if isinstance(error, OSError) and _is_stdout_lost():
            from aditus.cli.output import unwritable

            return _say(unwritable(error).format_message(), exits.FAILURE)
        if debug:
            for line in traceback.format_exc().splitlines():
                _say(line, exits.FAILURE)
        return _say(
            f"internal error: {type(error).__name__}; run it again as `aditus --debug …` for details",
            exits.FAILURE,
        )
    return result if isinstance(result, int) else exits.OK


def _check_text(arguments: Sequence[str]) -> None:
    """Names go into JSON, SQL and logs: what is no text is refused before a command meets it."""
    for number, word in enumerate(arguments, 1):
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise invalid(
                "not-text",
                f"Word {number} of the command line is not UTF-8 text.",
                remedy="Write it in UTF-8; rename a file whose name is not.",
            ) from error


def _is_stdout_lost() -> bool:
    """Whether stdout refuses what click, or a program, wrote there: then it still holds that."""
    try:
        sys.stdout.write("")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _say(text: str, code: int) -> int:
    from aditus.cli.output import clean
    from aditus.telemetry.redact import redact

    # A secret in the wrong place of a command line comes back in click's complaint about it.
    click.echo(f"aditus: {clean(redact(text))}", err=True)
    return code
