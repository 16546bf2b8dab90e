"""Asking a person for a password, unseen, at the terminal itself: stdin may be a question's file.

Not to be called where an event loop runs: it waits for the person, and Ctrl-C has to end it.
"""

import os
import sys

import click

from mesh.protocol.hidden import without_userinfo


def can_ask() -> bool:
    """Whether there is somebody to ask: a terminal to type at, where what is asked is seen."""
    if not sys.stderr.isatty():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def asked_password(username: str, url: str, *, by_name: bool = False) -> str:
    """What is typed; with `by_name` nothing will do, too. Raises click.Abort for Ctrl-C."""
    question = f"Password of {username} at {without_userinfo(url)}"
    if not by_name:
        typed: str = click.prompt(question, hide_input=True, err=True)
        return typed
    question += " (none: by name alone)"
    typed = click.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return typed
