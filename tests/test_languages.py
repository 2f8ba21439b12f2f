"""Languages: whatever a learner reads is in theirs, from the scorecard to the errors of the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

from grader import reports
from grader.authoring.proving import catalogue
from grader.cli import speech
from grader.cli.verbs import COMMANDS
from grader.messages import message, text
from grader.messages.english import SAYS
from grader.messages.language import DOMAIN, LOCALE, Language, code_of, known, of_environment, texts_of
from grader.messages.message import Message, Wording, is_name
from grader.reports import terminal
from grader.reports.worded import Told, worded
from grader.scorecard import Scorecard

from .test_reports import CASES, GOLDEN, golden, outline

TOY = Path(__file__).with_name("toy")
ZH = Language("zh")
# Two words of English in a row, of which the second is no name.
SENTENCE = re.compile(r"\b[A-Za-z]+,? [a-z]{2,}\b")
# What is the same in every language: names of what code is made of, of the command's files, and of its places for values.
NAMES = {
    "ADMITTED", "ALLOWED", "API", "ARGS", "BEGIN", "CLASS", "CODE", "COMMAND", "CPU", "Canvas", "Dask", "DIR", "END", "EXPR", "FILE", "False",
    "GRADE_DIAGNOSIS", "GRADE_LANG", "Gradescope", "HUP", "ID", "JSON", "Jupyter", "KATA", "KATAS", "Landlock", "Linux", "MUTANT", "MiB", "NAME",
    "NUL", "None", "OUT", "PAGE", "PATH", "Python", "SHA", "SIGHUP", "SIGKILL", "SIGTERM", "SOLUTION", "STUDENT", "TOML", "True", "UTF",
    "WSL", "Windows", "ZIP", "lsm", "pdb",
}  # fmt: skip


def in_chinese(case: str) -> Scorecard:
    card, texts = golden(case), texts_of(GOLDEN, ZH)
    told = {kata.id: Told(texts.get(kata.title, kata.title), kata.readme, texts) for kata in card.katas}
    return worded(card, ZH, told)


EXPECTED = {
    "terminal-80.zh.txt": lambda card: terminal.render(card, width=80, language=ZH),
    "junit.zh.xml": lambda card: reports.render("junit", card, ZH),
    "page.zh.html": lambda card: outline(reports.render("html", card, ZH)),
}


class Prose(HTMLParser):
    """What stands on a page to be read or heard, but for code and what a model wrote."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.aside = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.aside += tag in ("style", "code", "pre")
        self.parts += [told for name, told in attrs if name == "aria-label" and told]

    def handle_endtag(self, tag: str) -> None:
        self.aside -= tag in ("style", "code", "pre")

    def handle_data(self, data: str) -> None:
        if not self.aside:
            self.parts.append(data)


TEXTS = {
    **EXPECTED,
    "page.zh.html": lambda card: " · ".join(Prose(reports.render("html", card, ZH)).parts),
    "summary.md": lambda card: reports.render("markdown", card, ZH),
    "results.json": lambda card: "\n".join(
        each["output"] for each in json.loads(reports.render("gradescope", card, ZH))["tests"]
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("case", CASES)
def test_a_golden_scorecard_reads_exactly_so_in_chinese(case: str, name: str) -> None:
    """With GOLDEN=write in the environment the files are written instead: look at what changed before you keep it."""
    report, path = EXPECTED[name](in_chinese(case)), GOLDEN / case / name
    if os.environ.get("GOLDEN") == "write":
        path.write_text(report, encoding="utf-8", newline="\n")
    assert report == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("case", CASES)
def test_no_sentence_is_left_in_english(case: str, name: str) -> None:
    """But for what Python said and what the learner's own file says."""
    card = in_chinese(case)
    report = TEXTS[name](card)
    if name.endswith("xml"):
        elements = ElementTree.fromstring(report).iter()
        report = "\n".join(part for each in elements for part in (each.get("message"), each.text) if part)
    report = " ".join(report.split())
    for theirs in sorted(foreign(card), key=len, reverse=True):
        report = report.replace(" ".join(theirs.split()), "")
    assert SENTENCE.findall(re.sub("`[^`]*`", "", report)) == []


def foreign(card: Scorecard) -> Iterator[str]:
    """What is not the harness's to translate."""
    yield card.sandbox
    for kata in card.katas:
        for test in kata.tests:
            yield from test.output.splitlines()
            yield from [test.line.source.strip()] if test.line else []
            yield from strings(test.said)
        for said in kata.said:
            yield from strings(said)


def strings(said: Message | None) -> Iterator[str]:
    """The values in nobody's language, and what a stub says is to do."""
    for value in said.args.values() if said else ():
        if isinstance(value, Message):
            yield from [value.code] if said and said.code == "to_do" else strings(value)
        elif isinstance(value, str):
            yield value


def test_no_line_in_chinese_is_wider_than_the_terminal() -> None:
    for case in CASES:
        for width in (40, 60, 80, 120):
            lines = terminal.render(in_chinese(case), width=width, language=ZH).split("\n")
            assert max(map(cell_len, lines)) <= width or width == 40


@pytest.mark.parametrize("code", SAYS)
def test_every_code_has_all_its_words_in_chinese(code: str) -> None:
    """Its rows too; what is left of Latin letters are names."""
    for english in SAYS[code]:
        if re.search("[A-Za-z]", re.sub(r"\{[^{}]*\}", "", english)):
            told = ZH.text(english)
            assert told != english or english == "None"
            assert leftover(told) == set()


def test_no_english_word_is_left_in_the_catalogue() -> None:
    """Beside names, which stand in the English as well, and code between backticks."""
    found = catalogue.read(LOCALE / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po", "zh")
    for entry in found:
        parts = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        for told in parts if entry.id else ():
            assert leftover(told) == set(), told


def leftover(told: str) -> set[str]:
    """Latin words that are neither code nor names."""
    bare = re.sub(r"`[^`]*`|\{[^{}]*\}|%\(\w+\)s|'[^']*'|--?\w[\w-]*|<\w+>|\w+\(|\S*[./=_\[+]\S*", " ", told)
    return set(re.findall(r"[A-Za-z]{3,}", bare)) - NAMES - CODE - COMMANDS.keys() - reports.REPORTS.keys()


CODE = {
    "append", "canvas", "csv", "shell", "Esc", "Tab", "KiB", "checkout", "false", "true", "Ctrl", "check", "reference", "clone", "data", "detach", "dict", "dtype", "exec", "expand", "finite", "float", "git", "grade", "gradkata",
    "item", "json", "junit", "lambda", "list", "logits", "main", "markdown", "module", "nohup", "numpy", "open", "pop",
    "pdb", "pytest", "return", "seccomp", "secret", "setdefault", "terminal", "text", "toml", "torch", "zh",
}  # fmt: skip


def test_a_name_in_code_is_never_taken_for_a_word_of_ours() -> None:
    """`value`, `time` and `pass` are headings of the scorecard, and may be names of a learner's."""
    assert ZH.say(text("value")) == "数值"
    assert ZH.say(message("value.dtype", name=text("value"), got="a", expected="b"), {}) == "value 的 dtype 不对"


@pytest.mark.parametrize(
    ("english", "name"),
    [
        ("w_ih", True), ("states[:, 0]", True), ("sigmoid(z)", True), ("{part}.forward", True), ("b_ih + b_hh", True),
        ("a.b(x, y)[0]", True), ("the loss", False), ("{name} of lstm", False), ("h, c", False), ("loss: {a}", False),
    ],
)  # fmt: skip
def test_what_is_code_is_the_same_in_every_language(english: str, name: bool) -> None:
    assert is_name(english) == name


def test_the_kata_has_the_first_word_and_the_harness_the_second() -> None:
    said = message("value.dtype", name=text("the result"), got="float32", expected="float64")
    assert ZH.say(said, {"the result": "答案"}) == "答案的 dtype 不对"
    assert ZH.say(said, {}) == "结果的 dtype 不对"


@pytest.mark.parametrize(
    ("template", "value", "filled"),
    [
        ("{a} 的形状", "w_ih", "w_ih 的形状"),
        ("{a} 的形状", "模型", "模型的形状"),
        ("返回 {a}", "模型", "返回模型"),
        ("返回 {a} 。", "（3）", "返回（3）。"),
        ("a {a} b", "模型", "a 模型 b"),
        ("{a}  的", "模型", "模型  的"),
    ],
)
def test_chinese_stands_beside_chinese_without_a_space(template: str, value: str, filled: str) -> None:
    assert Wording(lambda english: template).say(text("anything {a}", a=value)) == filled


def test_a_translation_that_names_what_there_is_not_is_shown_as_it_is() -> None:
    assert Wording(lambda english: "{b} 不对").say(text("{a} is wrong", a=1)) == "{b} 不对"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "GRADE_LANG": "zh"}, "zh"),
        ({"LC_ALL": "zh_TW", "GRADE_LANG": "en"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
    ],
)
def test_the_environment_chooses(environment: dict[str, str], code: str) -> None:
    assert of_environment(environment).code == code


def test_a_language_has_many_names_and_others_none() -> None:
    assert [code_of(name) for name in ("zh", "ZH", "zh-CN", "zh_Hans_CN.UTF-8", "en_GB")] == ["zh"] * 4 + ["en"]
    assert [code_of(name) for name in ("", "C", "de", "zhx")] == [None] * 4
    assert known() == ["en", "zh"]


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (["--lang", "zh", "doctor"], ["doctor"]),
        (["run", "--lang=zh", "lstm"], ["run", "lstm"]),
        (["lstm", "--lang", "zh", "--lang", "en"], ["lstm"]),
        (["lstm", "--", "--lang", "zh"], ["lstm", "--", "--lang", "zh"]),
        (["run", "--lang"], ["run", "--lang"]),
    ],
)
def test_the_language_is_taken_from_wherever_it_stands(args: list[str], left: list[str]) -> None:
    assert speech.without_language(args) == left


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the real command on a toy course of its own, in Chinese; returns its exit code and all that it said."""
    course = tmp_path / "course"
    shutil.copytree(TOY, course)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "GRADE"))}

    def run(*words: str, lang: str = "zh_CN.UTF-8", **variables: str) -> tuple[int, str]:
        command = [str(Path(sys.executable).with_name("grade")), *words]
        settings = environment | {"LANG": lang, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"} | variables
        done = subprocess.run(
            command, cwd=course, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        return done.returncode, done.stdout

    return run


def english(told: str) -> list[str]:
    """Two English words in a row, but for code between backticks and lines of the learner's own file."""
    ours = [line for line in told.splitlines() if not re.match(r"\s+[>|] |沙箱：|pid mount", line)]
    return SENTENCE.findall(re.sub(r"`[^`]*`|'[^']*'|grade \w+", "", "\n".join(ours)))


def test_the_real_command_grades_in_chinese(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Untouched, right, wrong in two ways, and no Python."""
    code, untouched = run()
    assert code == 1 and "○ 待做  01_scale" in untouched and "下一步：katas/01_scale/scale.py" in untouched
    assert english(untouched) == []
    code, right = run("--from", "reference", "scale")
    assert code == 0 and "✓ 通过" in right and english(right) == []
    stub, solution = tmp_path / "course/katas/01_scale/scale.py", tmp_path / "course/reference/01_scale/scale.py"
    shutil.copy(solution, stub)
    stub.write_text(stub.read_text(encoding="utf-8").replace("x * factor", "-x * factor"), encoding="utf-8")
    code, wrong = run("1")
    assert code == 1 and "scale(x) 相差" in wrong and "处处都是应有值的 -1 倍" in wrong and "每个数都乘上系数" in wrong
    assert english(wrong) == []
    stub.write_text("def scale(x, factor)\n", encoding="utf-8")
    code, no_python = run("1")
    assert code == 1 and "scale.py 还不是合法的 Python：" in no_python
    assert english(no_python.replace("expected ':'", "")) == []


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["lines"], 2, "没有 'lines' 这道题：是不是想写 line？"),
        (["--from", "nowhere"], 2, "nowhere 不是文件夹"),
        (["--course", ".."], 2, "里面没有 katas/*/kata.toml"),
        (["--nope"], 2, "没有 '--nope' 这个选项"),
        (["-j", "many"], 2, "'many' 不是整数。"),
        (["-j", "99"], 2, "不在范围 1<=x<=64 之内"),
        (["--seed", "x"], 2, "'x' 不是种子"),
        (["--report", "pdf"], 2, "没有 'pdf' 这种报告；可用的有 terminal、json、junit"),
        (["--lang", "xx"], 2, "没有 'xx' 这种语言"),
        (["--lang"], 2, "选项 '--lang' 需要 1 个值"),
        (["new", "x y"], 2, "'x y' 不是题目编号"),
        (["show"], 2, "错误：缺少参数 'KATA'。\n"),
        (["--version"], 0, "gradkata，版本"),
        *(([*command, "--help"], 0, "用法：grade") for command in ([], ["run"], ["check"], ["doctor"], ["new"])),
        *(([*command, "--help"], 0, "用法：grade") for command in (["stub"], ["release"])),
    ],
)
def test_the_command_says_in_chinese_what_is_wrong(
    run: Callable[..., tuple[int, str]], args: list[str], code: int, told: str
) -> None:
    got, said = run(*args)
    assert (got, told in said) == (code, True), said
    assert english(said) == []
    assert max(map(cell_len, said.splitlines())) <= 80 or code == 2


def test_what_the_course_lacks_is_told_in_chinese(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    manifest = tmp_path / "course/katas/01_scale/kata.toml"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("difficulty = 1", "dificulty = 9"), encoding="utf-8"
    )
    code, said = run()
    assert code == 2
    assert "grade: katas/01_scale/kata.toml：dificulty 不是已知的字段；是不是想写 difficulty？：这道题先略过" in said
    assert said.count("01_scale") == 1, "one fault of a kata is enough for a learner"


def test_english_is_asked_for_wherever_it_stands(run: Callable[..., tuple[int, str]]) -> None:
    assert "there is no kata 'lines'" in run("lines", "--lang", "en")[1]
    assert "Usage: grade doctor" in run("--lang=en", "doctor", "--help")[1]
    assert "there is no kata 'lines'" in run("lines", GRADE_LANG="en")[1]
    assert "没有 'lines' 这道题" in run("lines", "--lang", "zh", lang="C.UTF-8")[1]
    assert "there is no language 'xx'" in run("lines", lang="C.UTF-8", GRADE_LANG="xx")[1]
