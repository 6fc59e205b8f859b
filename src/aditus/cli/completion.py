"""`aditus completion`: what makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from aditus.cli.output import write

VARIABLE = "_ADITUS_COMPLETE"
"""By which the shell asks the program what may come next (click's own name for it)."""


@click.command(
    epilog="""\b
Examples:
  eval "$(aditus completion bash)"      in ~/.bashrc, or zsh in ~/.zshrc
  aditus completion fish > ~/.config/fish/completions/aditus.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell."""
    from aditus.cli.main import root

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}.")
    write(kind(root, {}, "aditus", VARIABLE).source())
