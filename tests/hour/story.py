"""What the learner does in the hour, step by step, and what the page says between two screens, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

from grader.messages.language import Language
from tests.hour.desk import Desk
from tests.hour.neutral import cut, framed, neutral
from tests.hour.terminal import COLUMNS, PROMPT, ROWS, Terminal

MLP, CNN, RNN = "01_mlp", "02_cnn", "03_rnn"
_ALL = 99  # gaps
_SIGMOID = "return 0.5 * (1.0 + np.tanh(0.5 * z))  # the same function; unlike exp, tanh cannot overflow"
_OVERFLOWS = "return np.exp(z) / (1.0 + np.exp(z))"
_LOOP = "step = 0\n    while step < steps:"
_SLIP = "            seen = np.s_[:, :, r : r + rows, s : s + columns]"


@dataclass
class Told:
    """A page that is being written, and the captures of which pictures are made."""

    parts: list[str]
    pictures: dict[str, str]


class Hour:
    """One hour in one language, in a terminal that has just been opened."""

    def __init__(self, desk: Desk, terminal: Terminal, language: str) -> None:
        self._desk, self._terminal, self._language = desk, terminal, language
        say = Language(language).text
        self._checking = say("checking {kata}…", kata="").strip(" …")
        self._passes, self._killed, self._late = say("Every test passes."), say("killed"), say("timeout")
        self._hint = say("hint {number} of {count}", number=1, count=3)
        self._names = {str(desk.origin): "ADDRESS", str(desk.home): "~"}
        self.told = Told([], {})

    def say(self, english: str, chinese: str) -> None:
        """A paragraph of the page."""
        lines = [fill(each, 120) for each in english.split("\n\n")]
        self.told.parts.append("\n\n".join(lines) if self._language == "en" else chinese)

    def open(self, command: str, *until: str) -> None:
        """Type a command that takes the screen; the page shows both."""
        self._show(f"{PROMPT} {command}")
        self._terminal.run(command, until=until[0])
        self.screen(*until)

    def type(self, command: str, *, most: int = 60, picture: str = "") -> None:
        """Type a command; the page shows it and what came of it."""
        self._terminal.run(command)
        shown = self._terminal.since(command)
        self._show(cut(neutral(shown, self._names), most))
        if picture:
            self.told.pictures[picture] = neutral(self._terminal.since(command, coloured=True), self._names)

    def screen(self, *until: str, gone: str = "", picture: str = "", midst: bool = False) -> None:
        """The screen once all of this stands on it and what is to be gone does not; in the midst of a run, or after one."""
        self._terminal.until(*until, gone=[*filter(None, [gone, "" if midst else self._checking])])
        self.told.parts.append(framed(neutral(self._terminal.screen(), self._names)))
        if picture:
            self.told.pictures[picture] = neutral(self._terminal.screen(coloured=True), self._names)

    def _show(self, lines: str) -> None:
        """What the shell showed, in the frame of the commands before it, if nothing was said between."""
        before = self.told.parts[-1]
        if before.startswith(f"```text\n{PROMPT} "):
            self.told.parts.pop()
            lines = f"{before.removeprefix('```text').removesuffix('```').strip()}\n{lines}"
        self.told.parts.append(framed(lines))

    def press(self, *keys: str) -> None:
        self._terminal.press(*keys)

    def save(self, kata: str, gaps: int, shown: str = "", mistake: str = "", edit: tuple[str, str] = ("", "")) -> None:
        """Save a file in the editor; the page shows the lines that matter."""
        self._desk.save(kata, gaps, mistake, edit)
        if shown:
            slug = kata.partition("_")[2]
            written = (self._desk.course / "katas" / kata / f"{slug}.py").read_text(encoding="utf-8")
            if shown not in written:
                raise ValueError(f"this was not written: {shown!r}")
            self.told.parts.append(framed(shown, "python"))

    # What is done

    def play(self) -> None:
        """All of it."""
        for part in (self.begin, self.watch, self.second, self.third, self.look_back):
            part()

    def begin(self) -> None:
        self.say(
            f"# The first hour\n\n<!-- made by `make hour`: change tests/hour/ and not this page -->\n\nFrom `git clone` to three katas "
            f"that pass, in a terminal of {COLUMNS} by {ROWS}. It was typed and pressed as it stands here, and each frame is "
            "what the screen showed; only seconds, dates and folders are made the same for everybody, and ADDRESS is where "
            "you have the course from. Two slips and an endless loop are among it, as in any first hour.",
            f"# 第一个小时\n\n<!-- made by `make hour`: change tests/hour/ and not this page -->\n\n从 `git clone` 到通过三道题，"
            f"终端为 {COLUMNS} 列 {ROWS} 行。命令和按键都如实照录，每个框里都是屏幕上真实显示的内容；只有秒数、日期和文件夹统一替换过，"
            "ADDRESS 代表你获取课程的地址。其中有两处失误和一个死循环，谁的第一个小时都难免如此。",
        )
        self.say("## Get the course", "## 获取课程")
        self.type("git clone ADDRESS gradkata".replace("ADDRESS", str(self._desk.origin)))
        self.type("cd gradkata")
        self._desk.reuse()
        self.type("make venv")
        self.type("source .venv/bin/activate")
        self.say("## What to do", "## 做什么")
        self.type("grade next")
        self.say(
            "The statement is a page; here is how it begins. It says what to build, and has the formulae.",
            "题目说明是一页文字，开头如下：它说明要实现什么，并给出公式。",
        )
        self.open("grade show mlp", "01 · ")
        self._terminal.leave("q")

    def watch(self) -> None:
        self.say("## Stay with it", "## 边写边看")
        self.say(
            "`grade watch` stays open beside the editor, and judges whenever a file is saved.",
            "`grade watch` 一直开在编辑器旁边，每次保存都评分。",
        )
        self.open("grade watch", "/10")
        self.say(
            "The first gap asks for the sigmoid. In the editor its `raise NotImplementedError` gives way to the formula, "
            "and the file is saved:",
            "第一处空白是 sigmoid。在编辑器里把 `raise NotImplementedError` 换成公式，然后保存：",
        )
        self.save(MLP, 1, "    " + _OVERFLOWS, edit=(_SIGMOID, _OVERFLOWS))
        self.screen("✗", picture="watch")
        self.say(
            "A first slip: the formula as it stands overflows. The screen says for which numbers, and what to look at. The same "
            "function can be written otherwise:",
            "第一处失误：公式照搬会溢出。屏幕说出了是哪些数、该看哪里。同一个函数可以换一种写法：",
        )
        self.save(MLP, 1, "    " + _SIGMOID)
        self.screen("✓", gone="✗")
        self.say(
            "Gap by gap it goes on: forward, loss, backward. `h` gives a hint when one is wanted.",
            "就这样一处一处往下写：前向、损失、反向。需要时按 `h` 看提示。",
        )
        self.save(MLP, 4)
        self.screen("/10", gone="0.66/10")
        self.press("h")
        self.screen(self._hint)
        self.say(
            "The last gap is a loop, and this one never ends: nobody counts the steps.",
            "最后一处空白是循环，而下面这个循环永远不会结束：没有人给步数加一。",
        )
        self.save(MLP, _ALL, "    " + _LOOP, edit=("for _ in range(steps):", _LOOP))
        self.screen(self._checking, "✓", midst=True)
        self.say(
            "Nothing hangs but the test that waits, and after its time it is ended. The screen says where it was:",
            "卡住的只有那个等待的测试；时间一到它就被结束，屏幕会说它停在哪一行：",
        )
        self.screen(self._late)
        self.say(
            "Who does not want to wait presses `r` to judge again, and `k` to kill the run:",
            "不想等的话：按 `r` 重新评判，按 `k` 终止：",
        )
        self.press("r")
        self._terminal.until(self._checking, "✓")
        self.press("k")
        self.screen(self._killed)
        self.say("With the loop that was meant, everything passes:", "换成本来想写的循环，全部通过：")
        self.save(MLP, _ALL, "    for _ in range(steps):")
        self.screen(self._passes)
        self.say("`n` goes on to the next kata, and `q` quits.", "按 `n` 去下一道题，按 `q` 退出。")
        self.press("n")
        self.screen(CNN, "/10", gone=self._passes)
        self._terminal.leave("q")

    def second(self) -> None:
        self.say("## The second, at the prompt", "## 第二道，在命令行里")
        self.say(
            "The same goes without a screen that stays: fill in, save, run `grade cnn`. This line of the second gap is a slip:",
            "不开常驻的屏幕也一样：填写、保存、运行 `grade cnn`。第二处空白里的这一行写错了：",
        )
        self.save(CNN, _ALL, _SLIP, mistake="way-back-ignores-stride")
        self.type("grade cnn", picture="scorecard")
        self.type("grade hint cnn")
        self.say("Where windows are `stride` apart, so are their pixels:", "窗口相距 `stride`，它们的像素也应如此：")
        self.save(
            CNN,
            _ALL,
            "            seen = np.s_[:, :, r : r + stride * rows : stride, s : s + stride * columns : stride]",
        )
        self.type("grade cnn")

    def third(self) -> None:
        self.say("## The third", "## 第三道")
        self.type("grade next")
        self.say("Filled in without a slip:", "这一次填写没有失误：")
        self.save(RNN, _ALL)
        self.type("grade rnn")

    def look_back(self) -> None:
        self.say("## Looking back", "## 回头看看")
        self.type("grade list")
        self.type("grade history")
        self.say(
            "`grade solution mlp` shows the authors' solution beside one's own, now that it passes. And there is a page about "
            "all of the work, with the curves and images that one's own models made:",
            "题目通过以后，`grade solution mlp` 把参考解答和你的并排显示。还有一个页面汇总你的全部成果，里面有你自己的模型画出的曲线和图像：",
        )
        self.type("grade report --html")
        self.told.pictures["report"] = ""
