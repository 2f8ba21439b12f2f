"""`grade release`: a learner's repository without an answer in it, which judges as the authors' own does."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from grader.authoring.making.choice import choose
from grader.authoring.making.new import new
from grader.authoring.making.recording import record
from grader.authoring.making.release import contents
from grader.authoring.proving.subject import Subject
from grader.cli import main
from grader.course import Course, find
from grader.errors import CourseFault, InternalFault
from grader.judge.recorded import Recorded, form_of, packed, unpacked
from grader.scorecard import KataResult, Verdict
from grader.session import Session
from grader.store import Store

TOY = Path(__file__).parent / "toy"
CANARY = "CANARY-5ab0"
SUITE = '''

@pytest.mark.value
def test_beside_the_reference(solution, reference, rng):
    """The loss is that of the authors, and so is what they do with chance."""
    assert reference.SIZE == 3
    for _ in range(5):
        x, y, weight, bias = _line(rng, 4, reference.SIZE)
        expected = reference.loss(x, y, weight=weight, bias=bias)
        assert_close(float(solution.loss(x, y, weight, bias)), float(expected), tol=1e-10, name="loss")
    for _ in range(2):
        noise = reference.noise(rng, size=3)
        assert_close(solution.predict(np.eye(3), noise, 0.0), noise, tol=1e-10, name="outputs")
'''
HIDDEN = f'''"""{CANARY} hidden tests."""

import numpy as np
import pytest


@pytest.mark.behaviour
def test_hidden(solution):
    """{CANARY} nothing in, nothing out."""
    assert solution.predict(np.zeros((2, 3)), np.zeros(3), 0.0).sum() == 0, "zeros"
'''
REFERENCE = f'''

SIZE = 3
SECRET = "{CANARY} of the module"


def noise(generator, size):
    """{CANARY} in a helper."""
    return generator.normal(size=size)
'''


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def edit(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, changed in pairs:
        assert old in text
        text = text.replace(old, changed, 1)
    write(path, text)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The toy course, and a kata that leans on its reference, has a hidden test, and is full of canaries."""
    root = tmp_path_factory.mktemp("course")
    for name in ("katas", "reference"):
        shutil.copytree(TOY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOY / "course.toml", root)
    new(find(root, root), "51_my_topic", worker="numpy")
    katas, behind = root / "katas/51_my_topic", root / "reference/51_my_topic"
    edit(
        katas / "kata.toml",
        ("tests = 6", "tests = 8  # one is hidden"),
        ('blurb = "', f'blurb = "Beside {root.name}: '),
    )
    edit(katas / "test_my_topic.py", ("@pytest.mark.behaviour", "@pytest.mark.value"))
    write(katas / "test_my_topic.py", (katas / "test_my_topic.py").read_text(encoding="utf-8") + SUITE)
    write(behind / "test_hidden.py", HIDDEN)
    edit(behind / "my_topic.py", ("    errors = predict", f"    # {CANARY} in a solution\n    errors = predict"))
    hidden_helper = REFERENCE.replace("    return", "    # BEGIN SOLUTION: draw\n    return") + "    # END SOLUTION\n"
    hidden_helper = hidden_helper.replace(f'SECRET = "{CANARY} of the module"\n', "").replace(
        f"{CANARY} in a helper", "Draw some"
    )
    edit(behind / "mistakes.toml", ('says = "', f'says = "{CANARY} '))
    edit(
        behind / "variants/one_by_one.py",
        ('"""', f'"""{CANARY} '),
        ("import numpy as np", f"import numpy as np\n{REFERENCE}"),
    )
    write(behind / "my_topic.py", (behind / "my_topic.py").read_text(encoding="utf-8") + hidden_helper)
    write(root / f"katas/51_my_topic/{CANARY}.txt", f"{CANARY}: notes that no suite reads")
    write(root / "katas/51_my_topic/my_topic.py.bak", f"{CANARY}: an answer of the author's")
    return find(root, root)


@pytest.fixture(scope="module")
def released(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """What `grade release` makes of it, in a repository."""
    out = tmp_path_factory.mktemp("release") / "learner"
    with pytest.raises(SystemExit) as ended:
        main(["release", str(out), "--git", "--course", str(course.root)])
    assert ended.value.code == 0
    return find(out, out)


def files(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file() and not {".git", ".grade"} & set(path.parts)]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_no_canary_reaches_the_learner(course: Course, released: Course) -> None:
    assert sum(CANARY.encode() in content for content in files(course.root).values()) >= 5
    for name, content in files(released.root).items():
        assert CANARY.encode() not in content and CANARY not in name, name
    git = subprocess.run(["git", "grep", "--count", CANARY, "HEAD"], cwd=released.root, capture_output=True, text=True)
    assert (git.returncode, git.stdout) == (1, "")


def test_a_release_holds_what_a_learner_needs_and_no_more(released: Course) -> None:
    found = files(released.root)
    top = {name.split("/")[0] for name in found}
    assert top == {
        "katas", "grader", ".github", "pyproject.toml", "Makefile", "README.md", "README.zh.md", ".gitignore",
        ".gradkata-release.toml", "course.toml",
    }  # fmt: skip
    assert {name for name in found if name.startswith("katas/51")} == {
        f"katas/51_my_topic/{name}"
        for name in (
            "kata.toml",
            "README.md",
            "README.zh.md",
            "zh.po",
            "my_topic.py",
            "my_topic.stub",
            "test_my_topic.py",
            "recorded.bin",
        )
    }
    assert found["grader/locale/zh/LC_MESSAGES/grader.mo"]
    assert {name for name in found if name.endswith("recorded.bin")} == {"katas/51_my_topic/recorded.bin"}
    assert not [
        name
        for name in found
        if "__pycache__" in name or "hidden" in Path(name).name or "mistakes.toml" in name.split("/")
    ]
    for name in found:
        if name.endswith(".py"):
            ast.parse(found[name])


def test_the_release_is_one_commit_of_exactly_its_files(released: Course) -> None:
    def git(*words: str) -> list[str]:
        return subprocess.run(
            ["git", *words], cwd=released.root, capture_output=True, text=True, check=True
        ).stdout.split("\n")[:-1]

    assert git("rev-list", "--count", "HEAD") == ["1"] and git("branch", "--show-current") == ["main"]
    assert git("status", "--porcelain") == []
    assert set(git("ls-files")) == set(files(released.root))


def test_what_pip_installs_of_a_release_is_all_that_its_grader_reads(released: Course) -> None:
    settings = tomllib.loads((released.root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["grader"]
    grader = released.root / "grader"
    installed = {path for pattern in patterns for path in grader.glob(pattern)}
    carried = {path for path in grader.rglob("*") if path.is_file() and path.suffix not in (".py", ".md", ".pyc", "")}
    assert {path.suffix for path in carried} >= {".json", ".mo", ".jinja", ".css", ".tcss"}
    assert carried == installed


def test_a_release_of_the_same_leaves_gits_index_alone(course: Course, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["release", str(out), "--course", str(course.root), "--git"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        (out / "notes.txt").write_text("a learner's own", encoding="utf-8")
    status = subprocess.run(["git", "status", "--porcelain"], cwd=out, capture_output=True, text=True, check=True)
    assert status.stdout == "?? notes.txt\n"


@pytest.mark.parametrize(("more", "said"), [(b"def broken(:\n", "is not valid Python"), (b"\xff", "is not UTF-8 text")])
def test_a_suite_that_cannot_be_read_is_named_with_its_line(
    course: Course, tmp_path: Path, more: bytes, said: str
) -> None:
    shutil.copytree(course.root, tmp_path / "course", ignore=shutil.ignore_patterns(".grade", "__pycache__"))
    copy = find(tmp_path / "course", tmp_path / "course")
    with open(copy.katas[0].suite, "ab") as suite:
        suite.write(more)
    with pytest.raises(CourseFault) as caught:
        contents(choose(copy))
    assert re.search(rf"test_\w+\.py:\d+: {said}", str(caught.value))


def test_the_released_manifest_counts_without_the_hidden_test(course: Course, released: Course) -> None:
    text = (released.root / "katas/51_my_topic/kata.toml").read_text(encoding="utf-8")
    assert "tests = 7  # one is hidden" in text
    manifest, before = (
        tomllib.loads(text),
        tomllib.loads((course.root / "katas/51_my_topic/kata.toml").read_text(encoding="utf-8")),
    )
    assert before["points"].pop("behaviour") and before.pop("tests") == 8
    assert manifest.pop("tests") == 7
    assert manifest == before


def test_pages_and_settings_of_a_release_are_right(released: Course) -> None:
    found = files(released.root)
    for name in found:
        if name.endswith(".md"):
            for link in re.findall(r"\]\(([^)\s#]+)", found[name].decode()):
                assert "://" in link or (released.root / name).parent.joinpath(link).exists(), f"{name}: {link}"
    for kata in released.katas:
        assert f"| {kata.number} | " in found["README.md"].decode()
    assert "(katas/51_my_topic/README.md)" in found["README.md"].decode()
    settings = tomllib.loads(found["pyproject.toml"].decode())
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["katas"]
    assert set(settings["tool"]) == {"setuptools", "pytest"} and "optional-dependencies" not in settings["project"]
    workflow = found[".github/workflows/grade.yml"].decode()
    for used in re.findall(r"uses: \./(\S+)", workflow):
        assert f"{used}/action.yml" in found
    assert "!github.event.repository.is_template" in workflow and "repository.fork" not in workflow
    listed = subprocess.run(
        ["make", "--dry-run", "PYTHON=python3"], cwd=released.root, capture_output=True, text=True, check=True
    )
    assert "install --quiet --disable-pip-version-check --editable ." in listed.stdout


def test_the_released_command_grades_by_itself(released: Course) -> None:
    """The grader in the release is complete: its own command runs there, on its own katas, with nothing of ours."""
    environment = os.environ | {"PYTHONPATH": str(released.root), "PYTHONDONTWRITEBYTECODE": "1"}
    where = (
        "import grader; print(grader.__file__); from grader.cli import main; main(['run', '51', '--report', 'json'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", where], cwd=released.root, env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(released.root / "grader"))
    assert done.returncode == 1 and '"verdict": "todo"' in done.stdout, done.stderr


def verdicts(result: KataResult, *without: str) -> dict[str, Verdict]:
    return {test.name: test.verdict for test in result.tests if test.name not in without}


def test_a_release_gives_the_verdicts_of_the_full_course(course: Course, released: Course, tmp_path: Path) -> None:
    """For the reference, every variant, every mistake and the stub; and on another seed too."""
    (kata,), (theirs,) = course.select(["51"]), released.select(["51"])
    cases = [
        case for case in Subject(course, kata).cases if case.role != "zoo" or case.name in ("stub", "zeros", "nan")
    ]
    assert len(cases) >= 14
    ours, learners = (
        Session(each, Store(tmp_path / str(n), print), jobs=2) for n, each in enumerate((course, released))
    )
    try:
        for case in cases:
            for seed in (0, 7) if case.right else (0,):
                ours.seed = learners.seed = seed
                write(tmp_path / kata.stub.name, case.source.decode())
                (one,), (other,) = ours.grade([kata], tmp_path).katas, learners.grade([theirs], tmp_path).katas
                assert verdicts(one, "test_hidden") == verdicts(other), case.name
                assert len(other.tests) == 7 and other.verdict is not Verdict.INTERNAL, [
                    test.message for test in other.tests
                ]
                assert (other.verdict is Verdict.PASS) == case.right
                assert (other.points == other.max) == case.right
        write(tmp_path / kata.stub.name, cases[0].source.decode())
        asked = [next(test for test in run.tests if "beside" in test.name) for run in (one, other)]
        assert [test.kind for test in asked] == ["value", "value"]
    finally:
        ours.close()
        learners.close()


def test_plain_pytest_runs_from_the_recording_too(course: Course, released: Course, tmp_path: Path) -> None:
    shutil.copy(course.root / "reference/51_my_topic/my_topic.py", tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "katas/51_my_topic",
        "--from",
        str(tmp_path),
    ]
    for seed in ("0", "5"):
        done = subprocess.run([*command, "--course-seed", seed], cwd=released.root, capture_output=True, text=True)
        assert done.returncode == 0 and "7 passed" in done.stdout, done.stdout


def test_a_call_that_was_not_recorded_is_our_fault_and_named(released: Course, course: Course, tmp_path: Path) -> None:
    root = tmp_path / "changed"
    shutil.copytree(released.root, root, ignore=shutil.ignore_patterns(".git", ".grade"))
    edit(root / "katas/51_my_topic/test_my_topic.py", ("_line(rng, 4, reference", "_line(rng, 6, reference"))
    changed = find(root, root)
    session = Session(changed, Store(root, print))
    try:
        (result,) = session.grade(changed.select(["51"]), course.root / "reference").katas
    finally:
        session.close()
    assert result.verdict is Verdict.INTERNAL
    (told,) = [test.message for test in result.tests if test.verdict is Verdict.INTERNAL]
    assert "this call of reference.loss was not recorded" in told


UNRECORDABLE = {
    "what the solution returned": (
        "reference.loss(x, solution.predict(x, weight, bias), weight, bias)",
        "reference.loss is asked about what the solution returned, as ",
    ),
    "text": ("reference.WORDS", "reference.WORDS gives a str, and only numbers are recorded"),
    "an object": ("reference.np.random.default_rng(0)", "gives a module, and only numbers"),
    "a learner's object": ("reference.loss(solution, y, weight, bias)", "is given a value of type"),
    "an argument that is changed": ("reference.np_sort(y)", "reference.np_sort changes its arguments in place"),
    "an exception": ("reference.loss(x)", "fails on it: TypeError"),
    "a wrong oracle": ("assert_close(1.0, float(reference.loss(x, y, weight, bias)))", "fails on it"),
}


@pytest.mark.parametrize("name", UNRECORDABLE)
def test_what_cannot_be_recorded_is_refused_with_the_reason(course: Course, tmp_path: Path, name: str) -> None:
    root = tmp_path / "course"
    shutil.copytree(course.root, root, ignore=shutil.ignore_patterns(".git", ".grade", "[0]*"))
    asks, reason = UNRECORDABLE[name]
    suite = root / "katas/51_my_topic/test_my_topic.py"
    body = f'@pytest.mark.value\ndef test_beside_the_reference(solution, reference, rng):\n    """One."""\n    x, y, weight, bias = _line(rng, 4, 3)\n    {asks}\n'
    head = suite.read_text(encoding="utf-8").partition("@pytest.mark.value\ndef test_beside")[0]
    write(suite, head + body)
    reference = root / "reference/51_my_topic/my_topic.py"
    write(
        reference,
        reference.read_text(encoding="utf-8")
        + "\n\nWORDS = 'the answer'\n\n\ndef np_sort(y):\n    y.sort()\n    return y\n",
    )
    found = find(root, root)
    with pytest.raises(CourseFault) as refused:
        record(found, found.katas[0])
    assert (
        "katas/51_my_topic/test_my_topic.py: asks for the reference, which cannot be recorded: "
        in refused.value.message
    )
    assert reason in refused.value.message
    with pytest.raises(CourseFault):
        contents(choose(found))


def test_a_recording_holds_the_wires_values_and_forgives_the_last_bit() -> None:
    generator, after = torch.Generator().manual_seed(3), torch.Generator().manual_seed(9)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = np.float32([1, 2, np.nan, np.inf])
    ask = (x, y, [1, None, 1.5, True, torch.float64], 2 + 1j)
    answer = {"w": (x * 2, np.float64(3.0), 4)}
    form, sketch, _ = form_of("f", (ask, {"generator": generator}))
    reference = Recorded(unpacked(packed([(form, sketch, answer, [after])])))
    near = (x * (1 + 2e-16), y * np.float32(1 + 1e-7), *ask[2:])
    found = reference.f(*near, generator=generator)
    assert torch.equal(found["w"][0], x * 2) and found["w"][1:] == (3.0, 4) and type(found["w"][1]) is np.float64
    assert torch.equal(generator.get_state(), after.get_state())
    found["w"][0].zero_()
    again = torch.Generator().manual_seed(3)
    assert torch.equal(reference.f(*ask, generator=again)["w"][0], x * 2)
    other = torch.Generator().manual_seed(3)
    for wrong in (
        (x + 1e-6, *ask[1:]),
        (x.float(), *ask[1:]),
        (x.T, *ask[1:]),
        (x, y, [1, None, 1.5, False, torch.float64], 2 + 1j),
    ):
        with pytest.raises(InternalFault, match=r"reference\.f was not recorded"):
            reference.f(*wrong, generator=other)


def test_the_nearest_of_similar_calls_is_meant() -> None:
    """Central differences ask the same question a little to the left and to the right."""
    x = np.linspace(0.5, 1.5, 7)
    asks = [x + step * np.eye(7)[2] for step in (-1e-5, 0.0, 1e-5)]
    calls = [(*form_of("f", ((ask,), {}))[:2], float(ask.sum()), []) for ask in asks]
    reference = Recorded(calls)
    for ask in asks:
        assert reference.f(ask * (1 + 1e-16)) == float(ask.sum())


REFUSED = {
    "not empty": ("mine.txt", "is neither empty nor a former release"),
    "a broken record": (".gradkata-release.toml", "cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_not_for_it_is_left_alone(
    toy: Course, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, reason = REFUSED[name]
    out = tmp_path / "out"
    write(out / file, "[mine")
    with pytest.raises(SystemExit) as ended:
        main(["release", str(out), "--course", str(toy.root)])
    assert ended.value.code == 2 and reason in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {file}


@pytest.mark.parametrize("place", [".", "..", "katas/new", "reference", "katas/51_my_topic/out"])
def test_the_course_itself_is_no_place_for_a_release(
    course: Course, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(course.root)
    with pytest.raises(SystemExit) as ended:
        main(["release", str(course.root / place), "--course", str(course.root)])
    assert ended.value.code == 2 and "is a part of the course itself" in capsys.readouterr().err
    assert files(course.root) == before


def test_a_course_without_references_tells_all_that_is_missing(released: Course, tmp_path: Path) -> None:
    with pytest.raises(CourseFault) as refused:
        contents(choose(released))
    assert len(refused.value.faults) == len(released.katas)
    assert "reference/01_scale/scale.py: is missing" in refused.value.message


@pytest.mark.parametrize("words", [("check",), ("stub",), ("new", "my_other")])
def test_a_release_is_no_place_for_its_authors(
    released: Course, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--course", str(released.root)])
    assert ended.value.code == 2 and "this course is a release" in capsys.readouterr().err
    assert not (released.root / "reference").exists()
