"""A statement as a terminal shows it: nothing of it is cut, and what is too wide goes on in a line of its own.

rich lays pages out for languages that put spaces between words: a run of Chinese is one word to it, which it cuts in a
table, and begins on a new line in a paragraph.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rich import markdown
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.containers import Lines
from rich.markdown import MarkdownContext, MarkdownElement
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from grader.reports.layout import hang, wrap


class _Prose(Text):
    """Text that is broken wherever its language lets a line be broken."""

    def wrap(self, console: Console, width: int, *, justify: JustifyMethod | None = None, **settings: Any) -> Lines:
        lines = Lines()
        for line in self.split(allow_blank=True):
            line.expand_tabs(4)
            lines.extend(_parts(line, wrap(line.plain, width)))
        lines.justify(console, width, justify or self.justify or "default", "fold")
        return lines


class _Paragraph(markdown.Paragraph):
    def on_enter(self, context: MarkdownContext) -> None:
        super().on_enter(context)
        self.text = _Prose(justify="left")


class _Code(markdown.CodeBlock):
    """Code, in which a line that is too wide goes on below itself, further in."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        syntax = Syntax("", self.lexer_name, theme=self.theme)
        code = syntax.highlight(str(self.text).rstrip().expandtabs(4))
        code.rstrip()
        lines = [_hung(line, options.max_width - 2) for line in code.split("\n", allow_blank=True)]
        yield Padding(Text("\n", no_wrap=True).join(lines), 1, style=code.style)


class _Cell(markdown.TableDataElement):
    def __init__(self, justify: JustifyMethod) -> None:
        super().__init__(justify)
        self.content = _Prose(justify=justify)


class _Table(markdown.TableElement):
    """A table whose cells are as high as they must be."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            for column in table.columns:
                column.overflow = "fold"
            yield table


class Markdown(markdown.Markdown):
    """A page in Markdown, for rich and for Textual."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **markdown.Markdown.elements,
        "paragraph_open": _Paragraph,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
        "th_open": _Cell,
        "td_open": _Cell,
    }


def _hung(line: Text, width: int) -> Text:
    """A line of code in as many as it takes: see `hang`."""
    told = hang(line.plain, width)
    indents = [len(each) - len(each.lstrip()) for each in told]
    parts = _parts(line, [each.lstrip() for each in told])
    return Text("\n").join(Text(" " * indent).append_text(part) for indent, part in zip(indents, parts, strict=True))


def _parts(text: Text, lines: list[str]) -> list[Text]:
    """The text as these lines, which follow each other in it, with its styles."""
    parts, at = [], 0
    for line in lines:
        at = text.plain.index(line, at)
        parts.append(text[at : at + len(line)])
        at += len(line)
    return parts
