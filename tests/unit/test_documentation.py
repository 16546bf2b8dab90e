"""The documents speak of everything there is, link to what is there, and are in step with the code.

That what they say is true, other tests show: this one notices what they forget.
"""

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import click
import pytest

from mesh.cli.main import COMMANDS
from mesh.protocol.calls import CALLS
from mesh.protocol.catalogue import CHANNELS
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import LogEvent
from mesh.protocol.tools import ToolEvent
from mesh.settings import env_name
from tests.served import served
from tools import generated
from tools.settings_table import fields

ROOT = Path(__file__).parents[2]
PAGES = [*generated.documents(ROOT), *sorted((ROOT / "docs" / "adr").glob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
SECTIONS = ["Context", "Decision", "Consequences"]

_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(*names: str) -> str:
    return "\n".join((ROOT / name).read_text() for name in names)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def everything() -> str:
    """All documents."""
    return "\n".join(page.read_text() for page in PAGES)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)", _FENCED.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_documented(command: str, everything: str) -> None:
    assert re.search(rf"\bmesh {command}\b", everything)
    assert f"| `mesh {command}` |" in text_of("docs/operations.md"), "in the table of commands"


def subcommands() -> list[tuple[str, str]]:
    """Each command with each of the commands below it."""
    commands = {name: import_module(f"mesh.cli.{name}").command for name in COMMANDS}
    groups = {name: each for name, each in commands.items() if isinstance(each, click.Group)}
    return [(name, below) for name, group in groups.items() for below in group.commands]


@pytest.mark.parametrize(("command", "below"), subcommands())
def test_a_subcommand_is_documented(command: str, below: str) -> None:
    [row] = re.findall(rf"^\| `mesh {command}` \|.*", text_of("docs/operations.md"), re.M)
    assert f"`{below}`" in row


def read_by_clients() -> set[str]:
    """The variables of the environment that clients read: the texts in their code that are one."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "clients").rglob("*.py"))
    texts = {
        each.value for tree in trees for each in ast.walk(tree) if isinstance(each, ast.Constant)
    }
    return {text for text in texts if isinstance(text, str) and re.fullmatch("MESH_[A-Z_]+", text)}


def test_what_clients_read_is_found() -> None:
    assert {"MESH_URL", "MESH_TOKEN", "MESH_TOOL_USER"} <= read_by_clients()


@pytest.mark.parametrize("name", sorted(read_by_clients()))
def test_what_clients_read_is_documented(name: str) -> None:
    assert f"`{name}`" in text_of("docs/operations.md")


@pytest.mark.parametrize("name", fields())
def test_a_setting_is_documented(name: str) -> None:
    assert f"`{env_name(name)}`" in text_of("docs/operations.md")


@pytest.mark.parametrize("route", sorted(served()))
def test_a_route_is_documented(route: str) -> None:
    """To its end: `GET /chats` is not said by saying `GET /chats/{chat_id}`."""
    pages = text_of("docs/accounts.md", "docs/api.md", "docs/openai.md")
    assert re.search(rf"`{re.escape(route)}[`?]", pages)


@pytest.mark.parametrize("pattern", [each.pattern for each in (*CHANNELS, *CALLS)])
def test_a_subject_is_documented(pattern: str) -> None:
    assert f"`{pattern}`" in text_of("docs/protocol.md")


def test_the_readme_has_the_table_of_the_protocol() -> None:
    page = text_of("README.md")
    assert [c.pattern for c in CHANNELS if f"| `{c.pattern}` |" not in page] == []


def test_no_recipe_for_a_step_of_the_schema_names_a_number_that_is_taken() -> None:
    assert re.findall(r"--rev-id (\S+)", text_of("docs/store.md")) == ["NUMBER"]


def test_the_events_of_the_log_are_documented_and_no_others() -> None:
    events = (*get_args(LogEvent), *get_args(ToolEvent))
    told = {event.__struct_config__.tag.removeprefix("worker_") for event in events}
    section = text_of("docs/operations.md").partition("### mesh events\n")[2].partition("\n### ")[0]
    first = re.findall(r"^\| (`.*?) \|", section, re.M)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first))) == sorted({*told, "tokens", "unknown"})


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_code_is_documented(code: ErrorCode) -> None:
    assert f"`{code.value}`" in text_of("docs/api.md")


def test_what_is_generated_is_in_step() -> None:
    assert generated.stale(ROOT) == [], "run `python -m tools.generated`"


@pytest.mark.parametrize("name", generated.TABLES)
def test_a_generated_table_stands_somewhere(name: str, everything: str) -> None:
    assert f"<!-- {name}: generated -->\n" in everything


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_can_be_found_from_the_readme(page: Path) -> None:
    folders = {(ROOT / link).resolve() for link in _LINK.findall(text_of("README.md"))}
    assert page.name == "README.md" or {page.resolve(), page.parent.resolve()} & folders


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_its_sections(page: Path) -> None:
    text = page.read_text()
    number = int(page.name.partition("-")[0])
    assert text.startswith(f"# ADR {number}: ")
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\nStatus: \w+", text, re.M)
    assert re.findall(r"^## (.*)", text, re.M) == SECTIONS


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name.partition("-")[0]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
