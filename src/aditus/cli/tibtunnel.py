"""The forms of options that tibtunnel's command lines have and click has not."""

from typing import Any

import click

from aditus.domain.errors import AditusError, invalid


class Flag(click.Option):
    """An option that takes bare, `=true` or `=false`, and never the next word. None: not given.

    Declare it as `--name/--no-name`; help shows `--name` alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": None, **kwargs})

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0].split(" / ")[0], record[1])


class TibtunnelCommand(click.Command):
    """A command that reads its options as tibtunnel does: `--flag=false`, `-d=true`, `-s=spec`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*map(self._translated, args[:end]), *args[end:]])

    def _translated(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if not equals or not name.startswith("-"):
            return word
        option = next((param for param in self.params if name in param.opts), None)
        if isinstance(option, Flag):
            return name if _truth(name, value) else option.secondary_opts[0]
        if option is not None and len(name) == 2:
            return name + value  # click would take the sign for a part of the value
        return word


def refuse_basic_auth(*given: object) -> None:
    """Raise `AditusError` (invalid) if any of tibtunnel's options for a user name and password is given."""
    if any(value is not None for value in given):
        raise invalid(
            "basic-auth",
            "Aditus has no user names and passwords for agents (--basicauth, --user, --password).",
            remedy="Have an access key generated and store it: aditus configure --access-key-file -",
            field="basicauth",
        )


def _truth(name: str, value: str) -> bool:
    truth = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(value.lower())
    if truth is None:
        raise _neither(name)
    return truth


def _neither(name: str) -> AditusError:
    return invalid(
        "bad-boolean", f"{name} is either true or false.", remedy=f"Write {name} or {name}=false.", field=name
    )
