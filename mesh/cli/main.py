"""The command `mesh`. Each subcommand is a file of this folder, imported only when it is called.

So `mesh --help` is quick, and a machine needs only the packages of the commands it runs.
"""

import importlib
import sys

import click
from click.shell_completion import CompletionItem

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo

COMMANDS = {
    "up": ("up", "Run a whole mesh on this machine."),
    "chat": ("client", "Chat in the terminal."),
    "ask": ("client", "Ask one question and print the answer."),
    "chats": ("client", "List, print or delete your chats."),
    "login": ("client", "Sign in at a gateway, for all commands and notebooks."),
    "logout": ("client", "Sign out, and forget the sign-in."),
    "worker": ("worker", "Add a worker to a running mesh."),
    "join": ("up", "Let a worker on another machine join."),
    "ps": ("up", "Show workers, queue and running requests."),
    "top": ("up", "Watch workers, queue and tokens per second."),
    "events": ("up", "Watch what happens in the mesh."),
    "models": ("up", "Show which models are served, and which are on this machine's disk."),
    "switch": ("up", "Let a worker serve another model."),
    "unload": ("up", "Let a worker free its model's memory, and wait for orders."),
    "drain": ("up", "Let a worker finish or hand over its answers, and leave."),
    "dlq": ("up", "Look at requests that took their workers down."),
    "doctor": ("up", "Say what is wrong, and how to mend it."),
    "user": ("up", "Look after accounts: add, list, passwd, role, remove."),
    "key": ("up", "Look after API keys: create, list, revoke."),
    "limit": ("up", "Show and change what a user or a key may ask for."),
    "usage": ("up", "Show what was used, by day, user, key and model."),
    "backup": ("up", "Take a backup of chats, log and queue."),
    "restore": ("up", "Make a mesh of a backup."),
    "config": ("up", "Show the settings, and where they come from."),
    "completion": ("up", "Print what makes your shell complete `mesh`."),
    "bench": ("up", "Put a load on a running mesh and measure it."),
    "export": ("store", "Write chats as JSON lines."),
    "gateway": ("gateway", "Run a gateway alone."),
    "store": ("store", "Run the store alone."),
}
"""Each command with the extra that it needs, and what it does."""

CONFIGURATION = 78
"""Exit status (EX_CONFIG) where trying again would not help: somebody has to change something."""

DRAINED = 79
"""Exit status of a worker that left because of `mesh drain`: it is not to be started again."""

_PASSING = {
    ErrorCode.BROKER_UNAVAILABLE,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.NO_WORKER,
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.INTERNAL,
}


class Commands(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"mesh.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "mesh":
                raise
            raise _missing(cmd_name, error) from error
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, which imports what it needs; a package may be missing there as well."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            command = ctx.invoked_subcommand or ""
            if command not in COMMANDS or (error.name or "").partition(".")[0] == "mesh":
                raise
            raise _missing(command, error) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names without importing what they stand for."""
        begun = [
            (name, said) for name, (_, said) in COMMANDS.items() if name.startswith(incomplete)
        ]
        if begun and not incomplete.startswith("-"):
            return [CompletionItem(name, help=said) for name, said in begun]
        return click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="inference-mesh")
def mesh() -> None:
    """A private, shared LLM service for people who own a few GPUs."""


def main() -> None:
    """Run the command line; an error of ours is one sentence on stderr and a status."""
    try:
        mesh.main(prog_name="mesh")
    except MeshError as error:
        click.secho(f"mesh: {without_userinfo(error.detail)}", err=True)
        sys.exit(1 if error.code in _PASSING else CONFIGURATION)


def _missing(command: str, error: ModuleNotFoundError) -> MeshError:
    extra, _ = COMMANDS[command]
    return MeshError(
        ErrorCode.UNSUPPORTED,
        f"`mesh {command}` needs the package {error.name}, which is not installed here: "
        f"pip install 'inference-mesh[{extra}]'.",
    )
