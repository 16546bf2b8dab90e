"""`mesh completion`: what makes a shell complete `mesh`. What is completed, each command says."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def command(ctx: click.Context, /, shell: str | None) -> None:
    """Print what makes your shell complete `mesh`.

    \b
        bash  eval "$(mesh completion bash)"   in ~/.bashrc
        zsh   eval "$(mesh completion zsh)"    in ~/.zshrc, after compinit
        fish  mesh completion fish | source    in ~/.config/fish/config.fish

    Without a name it is the shell that SHELL names. Models, chats and workers are completed, too,
    where a mesh answers at once.
    """
    chosen = shell or Path(os.environ.get("SHELL", "")).name
    if chosen not in SHELLS:
        raise click.UsageError(f"Name your shell: {', '.join(SHELLS)}.")
    made = get_completion_class(chosen)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, "mesh", "_MESH_COMPLETE").source())
