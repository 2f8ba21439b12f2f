"""The screens: the one that watches, and those that are opened over it: list, statement, solution, help, and a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from grader.kata import Kata
from grader.messages import Message, text
from grader.messages.language import Language
from grader.reports.beside import SIDE_BY_SIDE, beside
from grader.reports.layout import Paint, hang, pad, wrap
from grader.standing import Place, Standing
from grader.study import desk, listing
from grader.study.pages import Markdown
from grader.watch import view

_PAGE = 10  # rows
_PAINT = Paint(True)  # where colours are not wanted, Textual takes them out again
_CLOSE = (Binding("escape", "dismiss_none"), Binding("q", "dismiss_none"))

HELP: tuple[tuple[str, Message], ...] = (
    ("n", text("go to what `grade next` names, or, from there, to the kata after it; passing never goes on by itself")),
    ("h", text("a hint, one level more each time; the last has most of the code")),
    ("l", text("the list of katas: type to search, tab to filter, enter to jump")),
    ("r", text("judge again, also what is known already")),
    ("s", text("the statement; t shows it in the other language")),
    ("o", text("the authors' solution beside yours, once yours passes")),
    ("e", text("open the file in `$VISUAL` or `$EDITOR`")),
    ("k", text("kill the run that is going on")),
    ("x", text("begin again from the stub; it asks first, and keeps a copy")),
    ("u", text("undo that: your file comes back; a second time takes it away again")),
    ("q", text("quit")),
)
_FILTERS: tuple[tuple[Message, Callable[[Place], bool]], ...] = (
    (text("all"), lambda place: True),
    (text("to do"), lambda place: not place.solved),
    (text("done"), lambda place: place.solved),
)


def shown(lines: str | Sequence[str]) -> Text:
    """Painted lines, as Textual shows them."""
    return Text.from_ansi(lines if isinstance(lines, str) else "\n".join(lines), no_wrap=True, end="")


class Reading(VerticalScroll):
    """Text that may be longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "page_down", show=False),
        Binding("j", "scroll_down", show=False),
    ]


class Main(Screen[None]):
    """What is judged, and what came of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, f"app.{action}", show=False)
            for key, action in {
                "n": "next", "h": "hint", "l": "list", "r": "again", "s": "statement", "o": "solution", "e": "edit",
                "k": "kill", "x": "reset", "u": "undo", "question_mark": "help", "q": "quit", "ctrl+z": "suspend_process",
            }.items()
        )
    ]  # fmt: skip
    _LINES = ("head", "title", "status", "strip")

    def __init__(self, course: str, state: view.Shown) -> None:
        super().__init__()
        self._course, self._state = course, state
        self._painted: dict[str, str] = {}
        self._composed = False

    def compose(self) -> ComposeResult:
        for name in self._LINES[:2]:
            yield Static(id=name, classes="line")
        yield Static(id="above", classes="rule")
        for name in self._LINES[2:]:
            yield Static(id=name, classes="line")
        yield Static(id="between", classes="line")
        with Reading(classes="reading"):
            yield Static(id="body")
        yield Static(id="notes")
        yield Static(id="below", classes="rule")
        yield Static(id="keys", classes="line")

    def on_mount(self) -> None:
        self._composed = True
        self.query_one(Reading).focus()
        self.paint()

    def on_resize(self, event: events.Resize) -> None:
        self._painted.clear()
        self.paint(event.size.width)

    def paint(self, width: int = 0) -> None:
        """Bring the screen into step with what is known; what stays the same is not painted again."""
        width = (width or self.size.width) - 2 * view.MARGIN
        if width <= 0 or not self._composed:
            return
        state = self._state
        self._put("head", view.head(state, self._course, width, _PAINT))
        self._put("title", view.title(state, width, _PAINT))
        self._put("status", view.status(state, width, _PAINT))
        self._put("strip", view.strip(state, width, _PAINT))
        self._put("body", "\n".join(view.body(state, width - 1, _PAINT)))
        self._put("notes", "\n".join(view.notes(state, width, _PAINT)))
        self._put("keys", view.keys(width, _PAINT, state.language))
        for name in ("above", "below"):
            self._put(name, "─" * width)

    def top(self) -> None:
        """Show the first lines of what there is to read."""
        if self._composed:
            self.query_one(Reading).scroll_home(animate=False)

    def _put(self, name: str, lines: str) -> None:
        if self._painted.get(name) != lines:
            self._painted[name] = lines
            widget = self.query_one(f"#{name}", Static)
            widget.display = bool(lines) or name != "notes"
            widget.update(shown(lines))


class Page(Screen[None]):
    """Something to read, closed by escape or q."""

    BINDINGS: ClassVar[list[BindingType]] = [*_CLOSE]

    def __init__(self, language: Language) -> None:
        super().__init__()
        self.language = language

    def compose(self) -> ComposeResult:
        with Reading(classes="reading"):
            yield Static(id="page")
        yield Static(id="below", classes="rule")
        yield Static(shown(_PAINT(self.hint(), "dim")), id="keys", classes="line")

    def on_mount(self) -> None:
        self.query_one(Reading).focus()
        self.put()

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#below", Static).update("─" * max(event.size.width - 2 * view.MARGIN, 0))
        self.put()

    def hint(self) -> str:
        """Which keys there are."""
        return self.language.text("q or escape goes back")

    def put(self) -> None:
        """Show what there is to read, in the width that there is."""

    def action_dismiss_none(self) -> None:
        self.dismiss(None)


class Statement(Page):
    """A kata's statement, in one of the languages of its course."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "turn"), Binding("s", "dismiss_none")]

    def __init__(self, kata: Kata, language: Language, languages: Sequence[str]) -> None:
        super().__init__(language)
        self._kata = kata
        others = [code for code in languages if code != language.code and kata.statement(code).is_file()]
        self._codes = [language.code, *others]

    def hint(self) -> str:
        told = super().hint()
        return f"{self.language.text('t shows the other language')}  {told}" if len(self._codes) > 1 else told

    def put(self) -> None:
        page = desk.unfolded(desk.statement(self._kata, Language(self._codes[0])))
        self.query_one("#page", Static).update(Markdown(page, code_theme="ansi_dark", hyperlinks=False))

    def action_turn(self) -> None:
        self._codes = [*self._codes[1:], self._codes[0]]
        self.put()
        self.query_one(Reading).scroll_home(animate=False)


class Answer(Page):
    """The authors' solution: beside the learner's file where there is room, else in turn with it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "turn"), Binding("o", "dismiss_none")]
    CSS = "Answer #page { max-width: 1000; }"

    def __init__(self, found: desk.Solution, language: Language) -> None:
        super().__init__(language)
        self._found = found
        self._mine = False

    def hint(self) -> str:
        return f"{self.language.text('t shows yours, and theirs again')}  {super().hint()}"

    def put(self) -> None:
        width = self.size.width - 2 * view.MARGIN - 1
        if width >= SIDE_BY_SIDE - 2 * view.MARGIN - 1:
            lines = beside(self._found.mine, self._found.theirs, width, self.language)
        else:
            head = self.language.text("yours") if self._mine else self.language.text("the solution")
            file = self._found.mine if self._mine else self._found.theirs
            lines = "\n".join(
                [_PAINT(head, "bold"), "", *(part for line in file.split("\n") for part in hang(line, width))]
            )
        self.query_one("#page", Static).update(shown(lines))

    def action_turn(self) -> None:
        self._mine = not self._mine
        self.put()


class Help(Page):
    """What each key does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss_none")]

    def put(self) -> None:
        width = self.size.width - 2 * view.MARGIN - 1
        lines = [
            _PAINT(self.language.text("While this is open, a kata is judged whenever you save its file."), "bold"),
            "",
        ]
        for key, said in HELP:
            first, *rest = wrap(self.language.say(said), width - 6)
            lines += [f"  {_PAINT(key, 'bold')}   {first}", *(f"      {line}" for line in rest)]
        more = self.language.text(
            "The arrows, page up and down and space scroll. Save another kata's file to go there."
        )
        lines += ["", *wrap(more, width)]
        self.query_one("#page", Static).update(shown(lines))


class Listing(Screen[Kata | None]):
    """All katas: typing searches, tab filters, enter jumps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_none"),
        Binding("tab", "filter", priority=True),
        *(
            Binding(key, f"move({steps})", priority=True)
            for key, steps in {"up": -1, "down": 1, "pageup": -_PAGE, "pagedown": _PAGE}.items()
        ),
    ]

    def __init__(self, standing: Standing, kata: Kata, language: Language) -> None:
        super().__init__()
        self._standing, self._kata, self._language = standing, kata, language
        self._filter = 0
        self._places: list[Place] = []
        self._at = 0  # among the places

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line")
        yield Input(placeholder=self._language.text("type to search"), id="search")
        with Reading(classes="reading", can_focus=False):
            yield Static(id="katas")
        yield Static(id="below", classes="rule")
        keys = self._language.text("enter jumps  tab filters  escape goes back")
        yield Static(shown(_PAINT(keys, "dim")), id="keys", classes="line")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.put()

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#below", Static).update("─" * max(event.size.width - 2 * view.MARGIN, 0))
        self.put()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.put()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._places:
            self.dismiss(self._places[self._at].kata)

    def action_move(self, steps: int) -> None:
        if self._places:
            self._kata = self._places[min(max(self._at + steps, 0), len(self._places) - 1)].kata
            self.put()

    def action_filter(self) -> None:
        self._filter = (self._filter + 1) % len(_FILTERS)
        self.put()

    def action_dismiss_none(self) -> None:
        self.dismiss(None)

    def put(self) -> None:
        """The rows that are searched for, and of those the one of the kata at hand highlighted."""
        width = max(self.size.width - 2 * view.MARGIN - 2, 20)
        name, wanted = _FILTERS[self._filter]
        words = self.query_one(Input).value.lstrip().removeprefix("/")  # which begins a search elsewhere
        found = listing.matching(self._standing.places, words, self._language)
        self._places = [place for place in found if wanted(place)]
        told = listing.summary(self._standing, self._language)
        filtered = f"[{self._language.say(name)}]"
        head = pad(told, max(width - cell_len(filtered), 0)) + filtered
        self.query_one("#head", Static).update(shown(_PAINT(head, "bold")))
        self._at = next((i for i, place in enumerate(self._places) if place.kata.id == self._kata.id), 0)
        lines = Text("" if self._places else self._language.text("no kata matches"))
        for place, row in enumerate(listing.rows(self._places, width - 2, self._language)):
            line = shown(_PAINT(row.state, listing.STYLES[row.place.state]) + row.rest)
            line = Text.assemble("▸ " if place == self._at else "  ", line, "\n")
            line.stylize("reverse" if place == self._at else "")
            lines.append_text(line)
        self.query_one("#katas", Static).update(lines)
        reading = self.query_one(Reading)
        reading.scroll_to(y=max(self._at - reading.size.height // 2, 0), animate=False, force=True)


class Asked(ModalScreen[bool]):
    """A question, answered with y or n."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        *(Binding(key, "answer(False)") for key in ("n", "q", "escape")),
    ]

    def __init__(self, question: str, language: Language) -> None:
        super().__init__()
        self._question, self._language = question, language

    def compose(self) -> ComposeResult:
        lines = [*wrap(self._question, 50), "", self._language.text("y for yes, n for no")]
        yield Static(shown(lines), id="question")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
