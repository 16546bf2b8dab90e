"""Markdown as the page draws it, piece by piece: what comes out, and that pieces do not matter."""
# ruff: noqa: E501

import random
from collections.abc import Callable, Iterator

import pytest

from tests.page.tab import Tab
from tests.whole_mesh import Mesh

DRAW = """async (pieces) => {
  const { Markdown } = await import("/page/markdown.js");
  const root = document.createElement("div");
  const markdown = new Markdown(root);
  for (const piece of pieces) { markdown.write(piece); markdown.draw(); }
  markdown.end();
  for (const each of root.querySelectorAll("*")) each.removeAttribute("dir");
  for (const each of root.querySelectorAll("figcaption, [tabindex]")) {
    each.localName === "figcaption" ? each.remove() : each.removeAttribute("tabindex");
  }
  for (const box of root.querySelectorAll(".run")) box.replaceWith(...box.childNodes);
  root.normalize();
  return root.innerHTML;
}"""

LINK = 'rel="noopener noreferrer nofollow" target="_blank"'

CASES = {
    "plain": ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
    "emphasis": (
        "**bold** *it* __b__ _i_ ~~no~~ ***both***",
        "<p><strong>bold</strong> <em>it</em> <strong>b</strong> <em>i</em> <del>no</del> "
        "<strong><em>both</em></strong></p>",
    ),
    "no emphasis": (
        r"2 * 3 * 4, snake_case_name, \*stars\*, 5*6",
        "<p>2 * 3 * 4, snake_case_name, *stars*, 5*6</p>",
    ),
    "code": ("`a*b*` and ``a`b``", "<p><code>a*b*</code> and <code>a`b</code></p>"),
    "headings": ("# One\ntext\n### Three\n", "<h3>One</h3><p>text</p><h5>Three</h5>"),
    "link": ("[a](https://a.example/x)", f'<p><a href="https://a.example/x" {LINK}>a</a></p>'),
    "bare link": (
        "see https://a.example/x_y_z.",
        f'<p>see <a href="https://a.example/x_y_z" {LINK}>https://a.example/x_y_z</a>.</p>',
    ),
    "image": (
        "![alt](https://a.example/i.png)",
        f'<p><a href="https://a.example/i.png" {LINK}>alt</a></p>',
    ),
    "list": (
        "- a\n- b\n  - c\n- d",
        "<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c</p></li></ul></li><li><p>d</p></li></ul>",
    ),
    "numbers": (
        "1. a\n\n   more\n2. b\n\nafter",
        "<ol><li><p>a</p><p>more</p></li><li><p>b</p></li></ol><p>after</p>",
    ),
    "list after text": (
        "Some:\n* a\n* b",
        "<p>Some:</p><ul><li><p>a</p></li><li><p>b</p></li></ul>",
    ),
    "later number": ("3. c\n4. d", '<ol start="3"><li><p>c</p></li><li><p>d</p></li></ol>'),
    "tasks": (
        "- [x] done\n- [ ] open",
        '<ul><li class="task"><input type="checkbox" disabled="" checked="" aria-label="done"><p>done</p></li>'
        '<li class="task"><input type="checkbox" disabled="" aria-label="open"><p>open</p></li></ul>',
    ),
    "quote": ("> a\n> b\n\nc", "<blockquote><p>a<br>b</p></blockquote><p>c</p>"),
    "quoted list": (
        "> - a\n> - b",
        "<blockquote><ul><li><p>a</p></li><li><p>b</p></li></ul></blockquote>",
    ),
    "rule": ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    "fence": (
        "```js\nif (a < b) {\n\n  `x`\n}\n```\nend",
        '<figure class="code"><pre><code><span class="chunk">if (a &lt; b) {\n\n  `x`\n}</span></code></pre></figure><p>end</p>',
    ),
    "fence in a list": (
        "1. do\n   ```\n   x\n     y\n   ```\n2. then",
        '<ol><li><p>do</p><figure class="code"><pre><code><span class="chunk">x\n  y</span></code></pre></figure></li>'
        "<li><p>then</p></li></ol>",
    ),
    "open fence": (
        "~~~\n# no heading",
        '<figure class="code"><pre><code><span class="chunk"># no heading</span></code></pre></figure>',
    ),
    "table": (
        "| a | b |\n|---|--:|\n| 1 | `x\\|y` |\n| 2 |\n\nend",
        '<div class="table"><table><thead><tr><th>a</th><th class="end">b</th></tr></thead><tbody>'
        '<tr><td>1</td><td class="end"><code>x|y</code></td></tr><tr><td>2</td><td class="end"></td></tr>'
        "</tbody></table></div><p>end</p>",
    ),
    "markup": (
        "<img src=x onerror=alert(1)> <script>alert(1)</script> &lt;",
        "<p>&lt;img src=x onerror=alert(1)&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;</p>",
    ),
    "bad link": ("[a](javascript:alert(1)) [b](data:text/html,x)", None),
    "unclosed": ("**not closed and `neither", "<p>**not closed and `neither</p>"),
    "hard lines": ("one  \ntwo\r\nthree", "<p>one<br>two<br>three</p>"),
    "stars": ("*" * 60 + " " + "_" * 3000, None),
    "nested": ("> " * 40 + "deep", None),
}


@pytest.fixture(scope="module")
def draw(mesh: Mesh, browser: object) -> Iterator[Callable[[list[str]], str]]:
    """Draws text that comes in pieces; gives the markup without what every block has."""
    tab = Tab(browser.new_context(), mesh.url)  # type: ignore[attr-defined]
    yield lambda pieces: str(tab.page.evaluate(DRAW, pieces))
    tab.page.context.close()
    tab.check()


@pytest.mark.parametrize("name", CASES)
def test_markdown_is_drawn(draw: Callable[[list[str]], str], name: str) -> None:
    text, markup = CASES[name]
    drawn = draw([text])
    if markup is not None:
        assert drawn == markup
    assert 'href="javascript' not in drawn and 'href="data' not in drawn


@pytest.mark.parametrize("name", CASES)
def test_it_does_not_matter_in_which_pieces_it_comes(
    draw: Callable[[list[str]], str], name: str
) -> None:
    text = CASES[name][0]
    whole = draw([text])
    assert draw(list(text)) == whole
    chance = random.Random(name)
    for _ in range(5):
        cuts = sorted(chance.sample(range(len(text)), min(6, len(text))))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert draw(pieces) == whole, pieces


def test_a_document_of_everything_is_the_same_in_pieces(draw: Callable[[list[str]], str]) -> None:
    text = "\n\n".join(text for text, _ in CASES.values())
    whole = draw([text])
    for seed in range(5):
        chance = random.Random(seed)
        pieces, at = [], 0
        while at < len(text):
            size = chance.choice((1, 2, 3, 7, 40))
            pieces.append(text[at : at + size])
            at += size
        assert draw(pieces) == whole


def test_a_long_paragraph_is_not_drawn_anew_from_its_beginning(
    draw: Callable[[list[str]], str],
) -> None:
    words = [f"word{number} **bold** `code` " for number in range(500)]
    assert draw(words) == draw(["".join(words)])
