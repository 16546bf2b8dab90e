"""Colours and weights, by name. Only the sixteen colours that every terminal's theme defines."""

from prompt_toolkit.styles import Style

STYLE = Style.from_dict({
    # The sitting
    "prompt": "ansicyan bold",
    "question": "bold",
    "note": "ansibrightblack",
    "error": "ansired",
    "good": "ansigreen",
    "name": "ansicyan",
    "dim": "ansibrightblack",
    "auto-suggestion": "ansibrightblack",
    # The line at the bottom
    "bottom-toolbar": "noreverse ansibrightblack",
    "bottom-toolbar.text": "noreverse ansibrightblack",
    "model": "ansidefault bold",
    "online": "ansigreen",
    "offline": "ansired bold",
    "activity": "ansiyellow",
    # Answers
    "h1": "ansicyan bold underline",
    "h2": "ansicyan bold",
    "strong": "bold",
    "em": "italic",
    "strike": "strike",
    "link": "ansiblue underline",
    "bullet": "ansicyan",
    "quote": "ansibrightblack",
    "code": "ansigreen",
    "code.keyword": "ansimagenta",
    "code.name": "ansiblue",
    "code.builtin": "ansicyan",
    "code.string": "ansigreen",
    "code.number": "ansiyellow",
    "code.comment": "ansibrightblack italic",
    # Menus
    "completion-menu": "bg:default ansidefault",
    "completion-menu.completion": "bg:default ansidefault",
    "completion-menu.completion.current": "bg:default ansicyan bold",
    "completion-menu.meta.completion": "bg:default ansibrightblack",
    "completion-menu.meta.completion.current": "bg:default ansibrightblack",
    "scrollbar.background": "bg:default",
    "scrollbar.button": "bg:default",
})  # fmt: skip
