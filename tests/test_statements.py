"""Statements as a terminal shows them: every word is there, in lines that are broken where their language lets them be."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from grader.reports.layout import hang
from grader.study import desk
from grader.study.pages import Markdown, _hung, _Prose

KATAS = Path(__file__).parents[1] / "katas"
PAGES = sorted(KATAS.glob("*/README*.md"))


def shown(page: str, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(Markdown(desk.unfolded(page)))
    return out.getvalue()


def bare(text: str) -> str:
    """The characters alone, without spaces and what draws a table."""
    return "".join(char for char in text if not char.isspace() and char not in "─▌")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_statement_loses_a_word_or_is_too_wide(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    narrow = shown(page, 78)
    assert narrow.count("…") == page.count("…")
    assert max(cell_len(line) for line in narrow.splitlines()) <= 78


def test_the_cells_of_a_table_are_whole() -> None:
    cell = "每个单元一个数没有矩阵也没有双曲正切" * 5
    assert bare(shown(f"| 名 | 义 |\n|---|---|\n| 一 | {cell} |\n", 40)) == f"名义一{cell}"


@pytest.mark.parametrize(
    ("page", "joined"),
    [
        ("状态靠累加，\n而不是覆盖。", "状态靠累加，而不是覆盖。"),
        ("> 请写出\n> 那个单元", "> 请写出那个单元"),
        ("- 没有窥视\n  孔连接", "- 没有窥视孔连接"),
        ("用 torch\n算出", "用 torch\n算出"),
        ("# 公式\n正文", "# 公式\n正文"),
        ("正文\n> 引用", "正文\n> 引用"),
        ("> 引用\n\n正文", "> 引用\n\n正文"),
        ("- 一\n- 二", "- 一\n- 二"),
        ("前\n```\n一\n二\n```\n后\n面", "前\n```\n一\n二\n```\n后面"),
        ("1. 前\n   ~~~\n   一\n   二\n   ~~~", "1. 前\n   ~~~\n   一\n   二\n   ~~~"),
    ],
)
def test_lines_of_chinese_are_joined_without_a_space(page: str, joined: str) -> None:
    assert desk.unfolded(page) == joined


def test_a_line_of_chinese_is_full_before_the_next_begins() -> None:
    first, *_ = shown(f"用 torch 来算，{'单元' * 30}", 40).splitlines()
    assert cell_len(first.rstrip()) >= 38


@given(st.lists(st.text("ab 中，（`\t", max_size=90), min_size=1, max_size=3), st.integers(8, 40))
def test_whatever_stands_in_a_paragraph_or_in_code_is_shown_whole(lines: list[str], width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for element, text in ((_Prose("\n".join(lines)), lines), (_hung(Text(lines[0].expandtabs(4)), width), lines[:1])):
        found = element.wrap(console, width)
        assert bare("".join(line.plain for line in found)) == bare("".join(text))
        assert all(cell_len(line.plain.rstrip()) <= max(width, 16) for line in found)


def test_code_goes_on_further_in() -> None:
    assert hang("    return alpha + beta", 18) == ["    return", "        alpha +", "        beta"]
    assert hang("\tx = 1", 40) == ["    x = 1"]
    lines = [line.rstrip() for line in shown("```python\nif a:\n    return alpha + beta\n```", 20).splitlines()]
    assert [line for line in lines if line] == [" if a:", "     return", "         alpha +", "         beta"]
