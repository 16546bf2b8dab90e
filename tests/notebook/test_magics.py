"""`%mesh` and `%%mesh`, in a real kernel."""

from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError

from mesh_client.notebook.magics import arguments, interpolated, parsed
from tests.notebook.kernels import Kernel, kernel
from tests.whole_mesh import ECHO, FAILING, SLOW, Mesh


@pytest.fixture(scope="module")
def a_kernel(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    with kernel(folder, MESH_URL=mesh.url, MESH_USER="magician") as found:
        found.run("%load_ext mesh_client.notebook")
        yield found


@pytest.fixture
def magic(a_kernel: Kernel) -> Kernel:
    """A kernel that has heard nothing yet."""
    a_kernel.heard.clear()
    return a_kernel


def test_a_cell_is_asked_with_its_variables(magic: Kernel) -> None:
    magic.run("word = 'river'\nn = 3")
    magic.run(
        f"%%mesh {ECHO} -o temperature=0 -o max_tokens=4 --out found\n"
        "Spell {word} {n} {{x}} y z"
    )
    assert magic.run("print(found, found.tokens)") == "Spell river 3 {x}  4\n"
    assert magic.markdown()[-1].startswith("Spell river 3 {x}\n\n<small>echo · 4 tokens")


def test_a_named_chat_goes_on_also_in_another_kernel(magic: Kernel) -> None:
    magic.run(f"%%mesh {ECHO} --chat tests\nfirst")
    magic.run(f"%%mesh {ECHO} --chat tests\nsecond")
    magic.run("%reload_ext mesh_client.notebook")
    magic.run(f"%%mesh {ECHO} --chat tests --out third\nthird")
    printed = "from mesh_client.notebook import messages_df\nprint(len(messages_df(third.chat_id)))"
    assert magic.run(printed) == "6\n"
    assert "tests" in magic.run("print(_mesh := get_ipython().run_line_magic('mesh', 'chats'))")


def test_in_the_background_it_returns_at_once_and_can_be_cancelled(magic: Kernel) -> None:
    magic.run(f"%%mesh {SLOW} --bg --chat bg --out long\n/repeat one two")
    assert magic.run("print(long.ended)") == "False\n"
    assert "stopped after" in magic.run("%mesh cancel bg")
    assert magic.run("print(long.state)") == "cancelled\n"
    assert magic.run("%mesh cancel") == "Nothing is being written.\n"


def test_status_names_gateway_models_and_workers(magic: Kernel, mesh: Mesh) -> None:
    asked = magic.start("%mesh status")
    magic.until("the end", lambda: magic.idle(asked))
    (line,) = [each for each in magic.markdown() if mesh.url in each]  # others still redraw
    assert f"`{ECHO}`" in line
    (table,) = magic.of(asked, "execute_result")
    assert SLOW in table["content"]["data"]["text/plain"]


def test_resume_shows_the_chat_of_an_id_or_title(magic: Kernel) -> None:
    magic.run(f"%%mesh {ECHO} --chat again --out once\nonce more")
    magic.heard.clear()
    magic.run("%mesh resume again")
    magic.until("what was said", lambda: any("> once more" in m for m in magic.markdown()))
    assert "no chat nowhere" in magic.failure("%mesh resume nowhere")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("%mesh sing", "there are: status, chats, resume, cancel, help"),
        ("%%mesh --chta x\nHello!", "--chta"),
        ("%%mesh -o heat=1\nHello!", "temperature"),
        ("%%mesh -o temperature=warm\nHello!", "temperature"),
        ("%%mesh\nHello {nobody_here}!", "There is no variable nobody_here"),
        ("%%mesh\n \n", "no question"),
        ("%%mesh no-such-model\nHello!", "no-such-model"),
        (f"%%mesh {FAILING}\na b c d e f g h i j k l m", "failed"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(magic: Kernel, code: str, sentence: str) -> None:
    assert sentence in magic.failure(code)


def test_braces_are_variables_unless_they_are_doubled_or_no_names() -> None:
    variables = {"a": 1, "name": "x"}
    assert interpolated("{a} {name} {{a}} {0} { a } {}", variables) == "1 x {a} {0} { a } {}"
    with pytest.raises(UsageError, match=r"write \{\{b\}\}"):
        interpolated("{b}", variables)


def test_options_have_the_types_of_the_client() -> None:
    assert parsed(["temperature=0", "max_tokens=5", "system=Be brief."]) == {
        "temperature": 0.0,
        "max_tokens": 5,
        "system": "Be brief.",
    }


def test_words_in_quotes_stay_together() -> None:
    found = arguments("tiny -o 'system=Be brief.' --chat 'my chat'")
    assert (found.model, found.option, found.chat) == ("tiny", ["system=Be brief."], "my chat")
