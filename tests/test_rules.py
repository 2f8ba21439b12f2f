"""The rules of `grade check`: each is broken once, in a kata that is fresh from `grade new`, and says where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding
from grader.authoring.proving.outcome import Outcome, Ran, Trial
from grader.authoring.proving.rules import ON_FILES, broken, texts
from grader.authoring.proving.subject import Subject
from grader.course import Course
from grader.messages import Message, message, text
from grader.scorecard import Verdict

from .workshop import ID, SHORT, Edits, edited, judge, new_bench, scaffold

DOC = '    """Every result has the shape that the statement gives it, for a batch of one too."""'
QUOTES = '"'
SHAPES = f"@pytest.mark.shape\ndef test_shapes(solution, rng):\n{DOC}\n"
GAP = '    raise NotImplementedError("train_step: both parameters go against their gradient")\n'
LAST = "    assert_unchanged(mutated)\n"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """One new kata, whose worker has numpy."""
    return scaffold(tmp_path_factory.mktemp("course"))


def without(text: str) -> tuple[str, str]:
    return text, ""


def marked(marks: str) -> Edits:
    """Other marks on the test of shapes."""
    return {"suite": ("@pytest.mark.shape\n", marks)}


# What is changed; the file that is named, text on the line that is named, and what is said of it.
FILES: dict[str, tuple[Edits, str, str, str]] = {
    # The suite
    "no kind": (marked(""), "suite", "def test_shapes", "test_shapes must have exactly one kind (shape, value, gradient, convergence, behaviour), found none"),
    "two kinds": (marked("@pytest.mark.shape\n@pytest.mark.value\n"), "suite", "def test_shapes", "must have exactly one kind"),
    "a strange mark": (marked("@pytest.mark.shape\n@pytest.mark.timeout(60)\n"), "suite", "def test_shapes", "test_shapes is marked timeout"),
    "no docstring": ({"suite": without(DOC + "\n")}, "suite", "def test_shapes", "test_shapes has no docstring"),
    "an empty docstring": ({"suite": (DOC, '    """ """')}, "suite", "def test_shapes", "test_shapes has no docstring"),
    "a class": ({"suite": (LAST, LAST + "\n\nclass TestMore:\n    pass\n")}, "suite", "class TestMore", "TestMore is a class: tests are plain functions"),
    "a test twice": ({"suite": ("def test_gradients(", "def test_shapes(self, ")}, "suite", "def test_shapes(self", "test_shapes is defined twice: only the last one runs"),
    "no Python": ({"suite": (LAST, "    assert_unchanged(mutated\n")}, "suite", "assert_unchanged(mutated", "is not valid Python: '(' was never closed"),
    "a zero byte": ({"suite": "x = '\0'\n"}, "suite", "x = ", "is not valid Python: source code string cannot contain null bytes"),
    "not UTF-8": ({"suite": b"# one\n# \xff two\n"}, "suite", "two", "is not UTF-8 text"),
    "another count": ({"kata.toml": ("tests = 6", "tests = 7")}, "kata.toml", "", "tests must be 6, as many as there are, found 7: `grade stub 51_my_topic` fills it in"),
    "points missing": ({"kata.toml": without("behaviour = 1\n")}, "kata.toml", "", "points.behaviour is missing"),
    "points for nothing": ({"suite": ("@pytest.mark.behaviour", "@pytest.mark.value")}, "kata.toml", "", "points.behaviour is given, and no test is of this kind"),
    # The stub and the reference
    "a stub out of step": ({"stub": ("one product and one sum", "a sum")}, "stub", "predict: a sum", "is not in step with the reference: `grade stub 51_my_topic` writes it"),
    "a longer stub": ({"stub": (GAP, GAP + "# mine\n")}, "stub", "# mine", "is not in step"),
    "no stub": ({"stub": None}, "stub", "", "is missing"),
    "a broken stub": ({"stub": "import numpy\ndef predict(:\n"}, "stub", "def predict(:", "is not valid Python: invalid syntax"),
    "a stub that is not UTF-8": ({"stub": b"\n# \xff two"}, "stub", "two", "is not UTF-8 text"),
    "no reference": ({"reference": None}, "reference", "", "is missing"),
    "a broken reference": ({"reference": ("def loss(", "def loss((")}, "reference", "def loss((", "is not valid Python"),
    "a marker that is never ended": ({"reference": ("learning_rate * by_bias\n    # END SOLUTION\n", "learning_rate * by_bias\n")}, "reference", "both parameters", "BEGIN SOLUTION is never ended"),
    "a marker in a marker": ({"reference": ("weight + bias\n    # END SOLUTION\n", "weight + bias\n")}, "reference", "square the errors", "BEGIN SOLUTION inside the one of line 26"),
    "an end alone": ({"reference": ("# BEGIN SOLUTION: one product", "# one product")}, "reference", "# END SOLUTION", "END SOLUTION without a BEGIN SOLUTION before it"),
    "no marker": ({"reference": '"""Nothing is marked."""\n'}, "reference", "Nothing", "marks no solution"),
    # Mistakes and variants
    "no mistakes": ({"mistakes.toml": None}, "mistakes.toml", "", "is missing: it names the wrong solutions"),
    "mistakes that are not UTF-8": ({"mistakes.toml": b"\n# \xff two\n"}, "mistakes.toml", "two", "is not UTF-8 text"),
    "an edit that matches nowhere": ({"mistakes.toml": ("'2.0 * errors.mean()'", "'3.0 * errors.mean()'")}, "mistakes.toml", "[[mistake]]", "bias-gradient-summed: the text to find occurs 0 times"),
    "an edit that matches twice": ({"mistakes.toml": ("'2.0 * errors.mean()'", "'- learning_rate *'")}, "mistakes.toml", "[[mistake]]", "bias-gradient-summed: the text to find occurs 2 times in the reference (lines 72, 72)"),
    "an edit of nothing": ({"mistakes.toml": ("'2.0 * errors.sum()'", "'2.0 * errors.mean( )'")}, "mistakes.toml", "[[mistake]]", "bias-gradient-summed: the edit equals the reference"),
    "a test that is not there": ({"mistakes.toml": ('"test_shapes"', '"test_shape"')}, "mistakes.toml", "[[mistake]]", "outputs-as-a-column: there is no test test_shape; did you mean test_shapes?"),
    "convergence alone": ({"mistakes.toml": ('"test_shapes"', '"test_learns"')}, "mistakes.toml", "[[mistake]]", "outputs-as-a-column: test_learns is a convergence test, which alone proves nothing"),
    "no variant": ({"variant": None}, f"reference/{ID}/variants", "", "has no right solution in another style"),
    "a broken variant": ({"variant": "\ndef predict(:\n"}, "variant", "def predict(:", "is not valid Python: invalid syntax"),
    "a variant that is not UTF-8": ({"variant": b"\xff"}, "variant", "\N{REPLACEMENT CHARACTER}", "is not UTF-8 text"),
    # Pages
    "no page": ({"page": None}, "page", "", "is missing"),
    "no Chinese page": ({"chinese page": None}, "chinese page", "", "is missing: the statement in Chinese"),
    "English twice": ({"chinese page": "# Line\n"}, "chinese page", "# Line", "is not in Chinese"),
    "a page that is not UTF-8": ({"page": b"\n\xff two"}, "page", "two", "is not UTF-8 text"),
    "a page too long": ({"page": "\n" * 79 + "the last\n"}, "page", "the last", "has 80 lines; a statement has at most 79"),
    "a hint missing": ({"page": ("\n3. **", "\n**")}, "page", "# 51", "must have three levels of hints, numbered 1 to 3, behind a <details> fold; found 2"),
    "hints in the open": ({"chinese page": ("<details>", "<div>")}, "chinese page", "# 51", "must have three levels of hints"),
    "no table": ({"page": "# Line\n"}, "page", "# Line", "has no table of shapes"),
    "a shape that no docstring has": ({"page": ("| `y (N,)` |", "| `y (N, 1)` |")}, "page", "| `y (N, 1)`", "the table says `y (N, 1)`, and no docstring of the stub does"),
    "a shape that the table lacks": ({"chinese page": without("| `y (N,)` | 目标 |\n")}, "chinese page", "| `x (N, D)`", "the stub's docstring at line 29 says `y (N,)`, and the table does not"),
    # Texts in other languages
    "no catalogue": ({"zh.po": None}, "zh.po", "", f"lacks 'one sum per sample', which katas/{ID}/test_my_topic.py:"),
    "a text that the catalogue lacks": ({"suite": ('"mean, squares"', '"squares first"')}, "zh.po", "", "lacks 'squares first', which"),
    "a text that no test tells": ({"suite": ('"mean, squares"', '"squares first"')}, "zh.po", 'msgid "mean, squares"', "'mean, squares' is told by no test: take it out"),
    "a title that changed": ({"suite": (DOC, '    """Shapes are right."""')}, "zh.po", "", "lacks 'Shapes are right.', which"),
    "a claim without words": ({"suite": (LAST, LAST + '    assert solution is not None, "it stays as it was"\n')}, "zh.po", "", "lacks 'it stays as it was', which"),
    "an empty translation": ({"zh.po": ('msgstr "平均、平方"', 'msgstr ""')}, "zh.po", 'msgid "mean, squares"', "'mean, squares' has no translation"),
    "a fuzzy translation": ({"zh.po": ('msgid "mean, squares"', '#, fuzzy\nmsgid "mean, squares"')}, "zh.po", 'msgid "mean, squares"', "is fuzzy"),
    "another field": ({"zh.po": ('msgstr "平均、平方"', 'msgstr "平均、{n} 次方"')}, "zh.po", 'msgid "mean, squares"', "has the fields {n}, and its English has none"),
    "no catalogue at all": ({"zh.po": "nonsense\n"}, "zh.po", "", "is no catalogue"),
    # What else lies there
    "a stray file": ({f"katas/{ID}/notes.txt": "mine"}, f"katas/{ID}/notes.txt", "", "is a stray file: neither kata nor suite names it"),
    "a stray file behind": ({f"reference/{ID}/old.py": "x = 1\n"}, f"reference/{ID}/old.py", "", "is a stray file"),
    "a script of no data": ({f"reference/{ID}/cut_data.py": "x = 1\n"}, f"reference/{ID}/cut_data.py", "", "is a stray file"),
    "a stray variant": ({f"reference/{ID}/variants/notes.md": "mine"}, f"reference/{ID}/variants/notes.md", "", "is a stray file"),
    "a stray folder": ({f"katas/{ID}/more/a.txt": "mine"}, f"katas/{ID}/more", "", "is a stray file"),
    "data without an origin": ({f"katas/{ID}/points.npy": b"\0", "suite": (LAST, LAST + "# points.npy\n")}, f"katas/{ID}/points.npy", "", f"is data whose origin no [[data]] entry of katas/{ID}/kata.toml gives"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_is_wrong_with_files_is_named_with_its_line(course: Course, tmp_path: Path, name: str) -> None:
    edits, place, on_line, words = FILES[name]
    assert_told(broken(Evidence(edited(course, tmp_path, edits), 1)), tmp_path, place, on_line, words)


def assert_told(found: Iterable[Finding], root: Path, place: str, on_line: str, words: str) -> None:
    """One of the findings is on a line of this file that holds the text, or on no line where there is none."""
    told = [(each.file, line_of(root, each), each.message) for each in found]
    file = SHORT.get(place, place)
    assert [
        each
        for each in told
        if each[0] == file and on_line in each[1] and bool(on_line) == bool(each[1]) and words in each[2]
    ], "\n".join(map(str, told))


def line_of(root: Path, found: Finding) -> str:
    """The text of the line that a finding names; nothing where it names none."""
    return "" if found.line is None else (root / found.file).read_text("utf-8", "replace").splitlines()[found.line - 1]


def test_a_new_kata_breaks_no_rule_on_files(course: Course, tmp_path: Path) -> None:
    """Nor does one with a hidden test, caches, and data whose source is named."""
    source = '\n[[data]]\nname = "points"\nsource = "points.npy, cut by cut_data.py"\nlicence = "CC0-1.0"\n'
    manifest = (course.root / f"katas/{ID}/kata.toml").read_text(encoding="utf-8").replace("tests = 6", "tests = 7")
    subject = edited(
        course,
        tmp_path,
        {
            "kata.toml": manifest + source,
            "suite": (LAST, LAST + "# points.npy\n"),
            f"katas/{ID}/points.npy": b"\0",
            f"reference/{ID}/cut_data.py": "x = 1\n",
            f"katas/{ID}/__pycache__/a.pyc": b"\0",
            f"katas/{ID}/.cache/CACHEDIR.TAG": b"\0",
            f"reference/{ID}/test_hidden.py": f"import pytest\n\n\n{SHAPES.replace('shapes', 'hidden')}    pass\n",
            f"reference/{ID}/zh.po": f'msgid "{DOC.strip().strip(QUOTES)}"\nmsgstr "隐藏的"\n',
        },
    )
    assert [str(finding) for rule in ON_FILES for finding in rule(subject)] == []
    assert [test.name for test in subject.tests][-1] == "test_hidden"


GRADIENT = "2.0 / len(y) * errors @ x"
TEST = '''

@pytest.mark.value
def test_more(solution, rng):
    """One more."""
    {body}
'''


def mistake(find: str, replace: str, caught_by: str) -> Edits:
    """One mistake, and no other."""
    words = {"find": find, "replace": replace, "caught_by": caught_by, "says": "No.", "says_zh": "不。"}
    rows = [f"{name} = {json.dumps(text)}" for name, text in words.items()]
    return {"mistakes.toml": "\n".join(["# One.", "[[mistake]]", 'id = "the-mistake"', *rows]) + "\n"}


def ablation(find: str, replace: str) -> Edits:
    """One mistake, which is said to be an ablation."""
    return {"mistakes.toml": mistake(find, replace, "test_outputs_and_loss")["mistakes.toml"] + "ablation = true\n"}


def more(body: str, after: str = "") -> Edits:
    """One more test, which is also in the manifest."""
    return {"suite": (LAST, LAST + TEST.format(body=body) + after), "kata.toml": ("tests = 6", "tests = 7")}


# What is changed; the trials that show it; and, as above, what is said.
COLUMN = mistake("return x @ weight + bias", "return (x @ weight + bias)[:, None]", "test_shapes")
EVIDENCE: dict[str, tuple[Edits, str, str, str, str]] = {
    # The suite as it runs
    "a suite that does not collect": ({"suite": ("import numpy as np\n", "import numpy as np\nimport nowhere_at_all\n")}, "judge", "suite", "import nowhere", "ModuleNotFoundError: No module named 'nowhere_at_all' (judging the reference)"),
    "a suite that ends the judge": (more("__import__('os')._exit(0)"), "judge", "suite", '"""The suite', "the judge ended in test_more, without a word (judging the reference)"),
    "more than one fault": ({"suite": without(DOC + "\n"), f"reference/{ID}/test_hidden.py": "import nowhere_at_all\n"}, "judge", f"reference/{ID}/test_hidden.py", "import nowhere", "No module named 'nowhere_at_all' (judging the reference)"),
    "a test that is taken away": (more("pass", "\n\ndel test_more\n"), "judge", "suite", "def test_more", "test_more was not run"),
    "a test that is made": ({"suite": (LAST, LAST + "\n\ntest_made = test_shapes\n")}, "judge", "suite", '"""The suite', "test_made was run, and is no function of the suite"),
    "a test that leaves itself out": (more('pytest.importorskip("nowhere_at_all")'), "judge", "reference", '"""My topic', "the reference fails test_more with seed 0"),
    # Right solutions
    "a wrong reference": ({"reference": (GRADIENT, GRADIENT.replace("2", "3"))}, "judge", "reference", '"""My topic', "the reference fails test_gradients with seed 0: "),
    "a reference that raises": ({"reference": ("    errors = predict", "    errors = predicted")}, "judge", "reference", "errors = predicted", "the reference fails test_gradients with seed 0: your code raised NameError"),
    "a reference that solves nothing": ({"reference": "import numpy as nump\n1 / 0\n"}, "judge", "reference", "1 / 0", "the reference fails every test with seed 0: my_topic.py does not import: ZeroDivisionError"),
    "a wrong variant": ({"variant": ("by_bias + 2.0 *", "by_bias + 3.0 *")}, "variant", "variant", '"""', "variant one_by_one fails test_gradients with seed 0: "),
    "a test that depends on the seed": (more("assert rng.random() > 0.5"), "seeds", "reference", '"""My topic', "the reference fails test_more with "),
    "a test that draws anew": (more("solution.predict(np.random.default_rng().normal(size=(2, 3)), np.ones(3), 1.0)"), "judge again", "suite", "def test_more", "test_more is not deterministic: seed 0, run twice, gave two transcripts"),
    "a tolerance drawn anew": (more("assert_close(solution.predict(np.eye(3), np.ones(3), 1.0), np.full(3, 2.0), tol=np.random.default_rng().random())"), "judge again", "suite", "def test_more", "test_more is not deterministic"),
    # The judge and plain pytest
    "the judge told from plain pytest": (more("assert type(solution).__name__ == 'LocalFile'"), "judge plain", "suite", "def test_more", "test_more on the reference: fail before the judge, pass in plain pytest ("),
    "plain pytest told from the judge": (more("assert type(solution).__name__ != 'LocalFile'"), "judge plain", "suite", "def test_more", "test_more on the reference: pass before the judge, fail in plain pytest ("),
    # The zoo
    "a file that anything passes": ({f"reference/{ID}/test_hidden.py": "# hidden\nimport pytest\n" + TEST.format(body="solution.predict(rng.normal(size=(2, 3)), 1, 2)")}, "zoo", f"reference/{ID}/test_hidden.py", "# hidden", "`zeros` of the zoo passes every test of this file"),
    # Mistakes
    "a mistake like the reference": (mistake(GRADIENT, "2.0 / x.shape[0] * errors @ x", "test_gradients"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake equals the reference: no test sees a difference in what it does"),
    "a mistake that others catch": (mistake("2.0 * errors.mean()", "2.0 * errors.sum()", "test_outputs_and_loss"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake passes test_outputs_and_loss, which is said to catch it; only test_gradients, test_three_training_steps, test_learns fail on it"),
    "a mistake below every tolerance": (mistake(GRADIENT, "(2.0 + 1e-13) / len(y) * errors @ x", "test_gradients"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake passes test_gradients, which is said to catch it; no test fails on it"),
    "a mistake that convergence alone sees": (mistake(GRADIENT, f"(len(y) < 64) * {GRADIENT}", "test_three_training_steps"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake passes test_three_training_steps, which is said to catch it; only test_learns fails on it"),
    "a mistake that does not import": (mistake("import numpy as np\n", "import numpy as np\n\n1 / 0\n", "test_gradients"), "mistake", "mistakes.toml", "[[mistake]]", "the-mistake ends test_gradients with error, which is no proof: my_topic.py does not import"),
    "a mistake that is to do": (mistake(f"by_weight = {GRADIENT}", "raise NotImplementedError", "test_gradients"), "mistake", "mistakes.toml", "[[mistake]]", "the-mistake ends test_gradients with todo, which is no proof"),
    "a mistake caught narrowly": ({**COLUMN, **mistake(GRADIENT, "2.00001 / len(y) * errors @ x", "test_gradients")}, "mistake", "mistakes.toml", "[[mistake]]", "the-mistake is caught too narrowly: its error in 'gradient of weight' of test_gradients is 5 times the tolerance, less than 10"),
    "a test that catches nothing": ({**COLUMN, **more("solution.predict(np.eye(3), np.ones(3), 1.0)")}, "judge mistake", "suite", "def test_more", "test_more catches no mistake: name one that it is there for"),
    # Ablations
    "no ablation": (COLUMN, "judge mistake", "suite", "def test_learns", "no ablation misses the bar of test_learns: mark the mistake that takes away what the task needs with `ablation = true`"),
    "an ablation that learns": (ablation("return ((predict", "return 3 * ((predict"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake is an ablation and misses no bar: test_learns passes"),
    "an ablation that never gets to the bar": (ablation("    # BEGIN SOLUTION: both", "    return (weight,)\n    # BEGIN SOLUTION: both"), "judge mistake", "mistakes.toml", "[[mistake]]", "the-mistake is an ablation and misses no bar: test_learns says: "),
    # Room
    "a tolerance like rounding": ({"suite": ('expected, tol=1e-10, name="outputs"', 'expected * (1 + 4.5e-16), tol=1e-15, name="outputs"')}, "judge", "suite", "def test_outputs", "test_outputs_and_loss leaves right solutions too little room: the reference has 0."),
    "a bar that is near": ({"suite": ("bias), 1.0, name=", "bias), 0.06, name=")}, "seeds", "suite", "def test_learns", "test_learns is near its bar: the worst of 5 seeds of the reference is 0.0"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The bench of all these trials."""
    shared = new_bench(tmp_path_factory.mktemp("store"))
    yield shared
    shared.close()


def gathered(bench: Bench, subject: Subject, what: str) -> Evidence:
    """What these trials show."""
    reference, seeds = subject.of(Role.REFERENCE)[0], 5 if what == "seeds" else 1
    asked = {
        "judge": [Trial(reference)],
        "again": [Trial(reference, again=1)],
        "plain": [Trial(reference, local=True)],
        "seeds": [Trial(reference, seed, local=seed > 0) for seed in range(seeds)],
        "variant": [Trial(case) for case in subject.of(Role.VARIANT)],
        "zoo": [Trial(case, local=True) for case in subject.of(Role.ZOO) if case.name == "zeros"],
        "mistake": [trial for trial in Evidence(subject, 1).base(False) if trial.case.role is Role.MISTAKE],
    }
    return judge(bench, subject, [trial for word in what.split() for trial in asked[word]], seeds)


@pytest.mark.parametrize("name", EVIDENCE)
def test_what_trials_show_is_named_with_its_line(course: Course, bench: Bench, tmp_path: Path, name: str) -> None:
    edits, what, place, on_line, words = EVIDENCE[name]
    subject = edited(course, tmp_path, edits)
    assert_told(broken(gathered(bench, subject, what)), tmp_path, place, on_line, words)


def said_of_a_mistake(subject: Subject, *said: Message) -> Evidence:
    """Evidence of a judge who said this of the kata's first mistake, in its first test."""
    evidence = Evidence(subject, 1)
    ran = [Ran("test_shapes", Verdict.FAIL, 0.1, "", None, "", (), each) for each in said]
    evidence.found[Trial(subject.of(Role.MISTAKE)[0])] = Outcome(tuple(ran))
    return evidence


@pytest.mark.parametrize(
    ("told", "lacking"),
    [
        (message("value.dtype", name=text("weight"), got="a", expected="b"), []),
        (message("value.dtype", name=text("squared error"), got="a", expected="b"), []),
        (message("value.dtype", name=text("the result"), got="a", expected="b"), []),
        (message("to_do", text=text("predict: one product and one sum")), []),
        (message("value.dtype", name=text("weight after 3 steps"), got="a", expected="b"), ["weight after 3 steps"]),
        (message("test.claim_of_none", claim=text("it stays"), function="f"), ["it stays"]),
        (message("gradient.also", place=text("a place"), keys=[text("a key"), "b"]), ["a place", "a key"]),
        (message("your own {a}", a="b"), ["your own {a}"]),
    ],
)
def test_what_a_judge_said_has_words_in_every_language(
    course: Course, tmp_path: Path, told: Message, lacking: list[str]
) -> None:
    subject = edited(course, tmp_path, {})
    name = subject.of(Role.MISTAKE)[0].name
    found = list(texts.worded(said_of_a_mistake(subject, told)))
    said = "test_shapes says {english!r} of {case}, for which there are no words in zh: is it a text(...)?"
    assert [each.message for each in found] == [said.format(english=english, case=name) for english in lacking]
    assert_told(found, tmp_path, "suite", "def test_shapes", "") if lacking else None


def test_recording_adds_the_entries_that_are_missing_and_keeps_the_others(course: Course, tmp_path: Path) -> None:
    subject = edited(course, tmp_path, {"suite": ('"mean, squares"', '"squares first"')})
    path = tmp_path / SHORT["zh.po"]
    before = path.read_text(encoding="utf-8")
    texts.write(subject)
    after = path.read_text(encoding="utf-8")
    assert 'msgid "squares first"\nmsgstr ""\n' in after
    assert sorted(before.split("\n")) == sorted(after.replace('msgid "squares first"\nmsgstr ""\n\n', "").split("\n"))
    told = [each.message for each in texts.translated(Subject(subject.course, subject.kata))]
    assert told == ["'squares first' has no translation", "'mean, squares' is told by no test: take it out"]
    texts.write(subject)
    assert path.read_text(encoding="utf-8") == after


def test_a_course_in_english_is_asked_for_no_other_words(course: Course, tmp_path: Path) -> None:
    subject = edited(course, tmp_path, {"zh.po": None, "chinese page": None, "course.toml": None})
    assert subject.course.languages == ("en",)
    assert list(texts.translated(subject)) == []
    assert list(texts.worded(said_of_a_mistake(subject, text("your own {a}", a="b")))) == []
