"""A learner's file is read whatever it is: bytes or a problem, never an exception and never a hang."""

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader import submission as submissions
from grader.course import Course, find
from grader.errors import UsageFault
from grader.submission import Problem, Submission, read

TEMPLATE = Path(__file__).with_name("kata.template.toml").read_text(encoding="utf-8")
MAX_BYTES = 1 << 20
GOOD = b"def lstm_step(x):\n    return x\n"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    root = tmp_path_factory.mktemp("course")
    folder = root / "katas/04_lstm"
    folder.mkdir(parents=True)
    (folder / "kata.toml").write_text(TEMPLATE, encoding="utf-8")
    (folder / "test_lstm.py").touch()
    return find(root)


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """Where a learner's file is looked for first, when it is taken from `tmp_path`."""
    (tmp_path / "04_lstm").mkdir()
    return tmp_path / "04_lstm/lstm.py"


def taken(course: Course, folder: Path | None) -> Submission:
    submission = read(course.katas[0], folder, course)
    assert (submission.source is None) == (submission.problem is not None)
    assert submission.kata_id == "04_lstm" and submission.path.name == "lstm.py"
    return submission


def told(problem: Problem) -> tuple[str, str]:
    return problem.message, str(problem.help)


def problem(course: Course, folder: Path) -> Problem:
    found = taken(course, folder).problem
    assert found is not None
    assert found.verdict == "error"
    assert found.message.startswith(str(folder))
    return found


def test_a_good_file_is_its_bytes_and_their_hash(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes(GOOD)
    folder = handed_in.parent.parent
    submission = taken(course, folder)
    assert (submission.kata_id, submission.path) == ("04_lstm", handed_in)
    assert submission.source == GOOD
    assert submission.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert submission.display_path == f"{folder}/04_lstm/lstm.py"


def test_what_was_read_stays_as_it_was(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes(b"\0")
    submission = taken(course, handed_in.parent.parent)
    assert submission.problem is not None and (submission.text, submission.line(1)) == ("", "")
    for thing in (submission, submission.problem):
        with pytest.raises(AttributeError):
            thing.line = 3  # type: ignore[misc, union-attr, method-assign]


def test_the_course_is_the_default(course: Course) -> None:
    path = course.root / "katas/04_lstm/lstm.py"
    missing = taken(course, None)
    assert missing.problem is not None
    assert told(missing.problem) == (
        "katas/04_lstm/lstm.py is missing",
        "bring the stub back with: git checkout -- katas/04_lstm/lstm.py",
    )
    assert (missing.path, missing.sha256) == (path, "")
    path.write_bytes(GOOD)
    try:
        assert (taken(course, None).source, taken(course, None).display_path) == (GOOD, "katas/04_lstm/lstm.py")
    finally:
        path.unlink()


def test_a_flat_folder_will_do_and_the_katas_own_folder_comes_first(course: Course, handed_in: Path) -> None:
    folder = handed_in.parent.parent
    (folder / "lstm.py").write_bytes(b"flat = 1\n")
    assert taken(course, folder).source == b"flat = 1\n"
    handed_in.write_bytes(GOOD)
    assert taken(course, folder).source == GOOD


def test_a_relative_folder_is_shown_as_it_was_named(
    course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in.write_bytes(GOOD)
    monkeypatch.chdir(handed_in.parent)
    submission = taken(course, Path(".."))
    assert submission.display_path == "../04_lstm/lstm.py"
    assert submission.path.is_absolute()


def test_a_missing_file_is_told_with_where_it_belongs(course: Course, tmp_path: Path) -> None:
    assert told(problem(course, tmp_path)) == (
        f"{tmp_path}/04_lstm/lstm.py is missing",
        "put it there as 04_lstm/lstm.py or lstm.py",
    )


def test_a_folder_that_is_not_there_is_a_usage_fault(course: Course, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="is not a folder"):
        read(course.katas[0], tmp_path / "nowhere", course)


@pytest.mark.parametrize(
    ("content", "told", "line"),
    [
        (b"", "is empty", None),
        (b"\xef\xbb\xbf \r\n\t\n", "is empty", None),
        (b"\0a = 1\n", "has a NUL byte at position 0", 1),
        (b"a = 1\r\nb = '\0'\r\n", "has a NUL byte at position 12", 2),
        (b"a = 1\nb = 2\n\n# caf\xe9\n", "has byte 0xe9 at position 18, which is not UTF-8", 4),
        (b"\xff", "has byte 0xff at position 0, which is not UTF-8", 1),
        (b"a\xed\xa0\x80", "has byte 0xed at position 1, which is not UTF-8", 1),
        ("a = 1\n".encode("utf-16"), "is UTF-16 text", None),
    ],
)
def test_what_no_source_can_be_is_told_with_its_place(
    course: Course, handed_in: Path, content: bytes, told: str, line: int | None
) -> None:
    handed_in.write_bytes(content)
    found = problem(course, handed_in.parent.parent)
    assert found.message == f"{handed_in}{'' if line is None else f':{line}'} {told}"
    assert found.line == line
    assert taken(course, handed_in.parent.parent).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa = 1\n",
        b"a = 1\r\nb = 2\r\n",
        b"# no final newline",
        "# -*- coding: utf-8 -*-\nλ = '变量'\n".encode(),
        b"def broken(:\n",
    ],
)
def test_what_may_be_python_is_taken_as_it_is(course: Course, handed_in: Path, content: bytes) -> None:
    handed_in.write_bytes(content)
    assert taken(course, handed_in.parent.parent).source == content


def test_lines_are_shown_as_python_counts_them(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes("\ufeffa = 'one\u2028line'\r\n    b = 'é'\nc\n".encode())
    submission = taken(course, handed_in.parent.parent)
    assert submission.line(1) == "a = 'one\u2028line'"
    assert submission.line(2) == "b = 'é'"
    assert submission.line(3) == "c"
    assert [submission.line(number) for number in (-1, 0, 4)] == ["", "", ""]
    assert submission.text.startswith("a = ")


@pytest.mark.parametrize("parent", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_no_link_is_followed(course: Course, tmp_path: Path, parent: bool, inside: bool) -> None:
    folder = tmp_path / "in"
    real = (folder / "other" if inside else tmp_path / "out") / "lstm.py"
    real.parent.mkdir(parents=True)
    real.write_bytes(GOOD)
    folder.mkdir(exist_ok=True)
    link = folder / "04_lstm"
    if parent:
        link.symlink_to(real.parent)
    else:
        link.mkdir()
        (link / "lstm.py").symlink_to(real)
    name = "04_lstm" if parent else "04_lstm/lstm.py"
    assert told(problem(course, folder)) == (
        f"{folder}/04_lstm/lstm.py is not read, because {name} is a link",
        "put the file itself there",
    )


def test_a_link_to_nowhere_is_a_link(course: Course, handed_in: Path) -> None:
    handed_in.symlink_to("/nonexistent")
    assert "is a link" in problem(course, handed_in.parent.parent).message


def test_a_link_that_comes_after_the_look_is_not_followed(
    course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is opened without following, so nothing depends on what was seen before."""
    monkeypatch.setattr(submissions, "_link", lambda root, place: "")
    real = handed_in.with_name("real.py")
    real.write_bytes(GOOD)
    handed_in.symlink_to(real)
    assert "cannot be read: " in problem(course, handed_in.parent.parent).message


def test_without_stepwise_opening_links_are_refused_too(
    course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "_STEPWISE", False)
    handed_in.write_bytes(GOOD)
    folder = handed_in.parent.parent
    assert taken(course, folder).source == GOOD
    handed_in.rename(folder / "elsewhere.py")
    handed_in.symlink_to(folder / "elsewhere.py")
    assert "is a link" in problem(course, folder).message


def test_the_named_folder_itself_may_be_a_link(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes(GOOD)
    link = handed_in.parent.parent / "link"
    link.symlink_to(handed_in.parent.parent)
    assert taken(course, link).source == GOOD


@pytest.mark.timeout(10)
def test_only_regular_files_are_read(course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = handed_in.parent.parent

    def refused() -> bool:
        return problem(course, folder).message.endswith("is not a regular file")

    os.mkfifo(handed_in)
    assert refused()
    handed_in.unlink()
    handed_in.mkdir()
    assert refused()
    handed_in.rmdir()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(handed_in.parent)  # the name of a socket must be short
        server.bind(handed_in.name)
        assert refused()


def test_a_file_in_place_of_the_folder_is_told(course: Course, tmp_path: Path) -> None:
    (tmp_path / "04_lstm").touch()
    assert problem(course, tmp_path).message.endswith("cannot be read: not a directory")


def test_a_file_without_permission_is_told(course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(13, "Permission denied")

    handed_in.write_bytes(GOOD)
    monkeypatch.setattr(submissions, "_open", refuse)
    assert problem(course, handed_in.parent.parent).message.endswith("cannot be read: permission denied")


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 50 << 20, 1 << 40])
def test_a_big_file_is_refused_by_its_size(course: Course, handed_in: Path, size: int) -> None:
    with handed_in.open("wb") as file:
        file.truncate(size)
    submission = taken(course, handed_in.parent.parent)
    assert submission.problem is not None
    assert "no more than 1 MiB is read" in submission.problem.message
    assert submission.sha256 == ""


def test_the_biggest_file_that_is_allowed_is_read(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes(b"#" * MAX_BYTES)
    assert taken(course, handed_in.parent.parent).source == b"#" * MAX_BYTES


def test_a_file_that_grows_while_it_is_read_is_refused(
    course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def grow(descriptor: int, size: int) -> bytes:
        asked.append(size)
        return b"#" * min(size, 1 << 16)

    handed_in.write_bytes(GOOD)
    monkeypatch.setattr(os, "read", grow)
    assert problem(course, handed_in.parent.parent).message.endswith("grew past 1 MiB while it was read")
    assert asked == [*range(MAX_BYTES + 1, 1, -(1 << 16)), 1], "one byte more than is taken shows it"


def test_a_failing_disk_is_told(course: Course, handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    handed_in.write_bytes(GOOD)
    monkeypatch.setattr(os, "read", fail)
    assert problem(course, handed_in.parent.parent).message.endswith("cannot be read: input/output error")


def test_reading_leaves_no_descriptor_open(course: Course, handed_in: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for content in (GOOD, b"\xff", b""):
        handed_in.write_bytes(content)
        taken(course, handed_in.parent.parent)
    handed_in.unlink()
    handed_in.symlink_to("/etc/passwd")
    taken(course, handed_in.parent.parent)
    assert len(os.listdir("/dev/fd")) == before


def test_a_name_that_is_no_text_can_be_shown() -> None:
    assert submissions._printable(Path(os.fsdecode("作业/".encode() + b"\xff"))) == "作业/\\xff"


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf\xef\xbb\xbfa")
@example(b"#" + b"\x80" * 3)
@example(b"\r\r\n\n\xff")
def test_any_bytes_give_a_source_or_a_problem(course: Course, content: bytes) -> None:
    folder = course.root / "any"
    folder.mkdir(exist_ok=True)
    (folder / "lstm.py").write_bytes(content)
    submission = taken(course, folder)
    assert submission.sha256 == hashlib.sha256(content).hexdigest()
    if submission.problem is None:
        assert submission.source == content
        assert submission.text == content.decode("utf-8-sig")
        assert "\0" not in submission.text and submission.text.strip(" \t\r\n\v\f")
        lines = content.removeprefix(b"\xef\xbb\xbf").splitlines()
        assert [submission.line(n + 1) for n in range(len(lines))] == [line.decode().strip() for line in lines]
    else:
        assert submission.problem.message.isprintable()
        assert submission.problem.line is None or submission.problem.line in range(1, len(content.splitlines()) + 1)


def test_hostile_source_is_never_compiled_here(course: Course, handed_in: Path) -> None:
    handed_in.write_bytes(b"x=a" + b"<a" * (MAX_BYTES // 2 - 2))
    program = (
        "import builtins, sys; from pathlib import Path;"
        "from grader.course import find; from grader.submission import read;"
        f"course = find(Path({str(course.root)!r}), known_good=lambda digest: True);"
        "builtins.compile = builtins.exec = builtins.eval = None;"
        f"sys.exit(read(course.katas[0], Path({str(handed_in.parent.parent)!r}), course).problem is not None)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent.parent).returncode == 0
