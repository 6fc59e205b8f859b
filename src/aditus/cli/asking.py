"""Asking a person at the terminal. The questions go to stderr, and a secret's answer is not shown."""

import sys

import click

from aditus.cli.output import say
from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText


def has_person() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def secret(what: str) -> SecretText:
    """The secret that a person types or pastes, unchecked."""
    return SecretText(click.prompt(f"{what} (not shown)", hide_input=True, err=True))


def confirm(question: str, remedy: str) -> bool:
    """Whether a person says yes. Raises `AditusError` (invalid) with `remedy` when there is nobody to ask."""
    if not has_person():
        raise invalid(
            "not-confirmed",
            "This cannot be undone, and there is no terminal to ask on.",
            remedy=remedy,
            field="yes",
        )
    if click.confirm(question, err=True):
        return True
    say("Nothing is changed.")
    return False
