"""Markdown for a terminal, printed while it is still being written, each row once and for good.

`printer` is the way in. Nothing in this folder writes to a terminal: it makes rows of styled text.
"""

from mesh_client.repl.markdown.printer import MarkdownPrinter

__all__ = ["MarkdownPrinter"]
