"""What a class hands in: told apart by place, name and content, whoever delivered it, and nothing guessed in silence."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grader.classroom import roster as rosters
from grader.classroom.intake import Intake, take_in
from grader.classroom.matching import Desk
from grader.classroom.records import About, Entry, State
from grader.course import Course
from grader.errors import CourseFault, UsageFault
from grader.scorecard import Verdict

RIGHT = (Path(__file__).parent / "toy/reference/01_scale/scale.py").read_bytes()
LINE = (Path(__file__).parent / "toy/reference/02_line/line.py").read_bytes()
OTHER = RIGHT + b"# another\n"
SCALE = "01_scale"
Look = Callable[..., Intake]


@pytest.fixture
def desk(toy: Course) -> Desk:
    return Desk(toy.katas, {kata.id: kata.stub.read_bytes() for kata in toy.katas})


@pytest.fixture
def look(tmp_path: Path, desk: Desk) -> Look:
    """What is found in a class's folder with these files."""

    def found(files: Mapping[str, bytes | str], roster: str = "") -> Intake:
        top = tmp_path / "in"
        for name, content in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)
        (tmp_path / "roster.csv").write_text(roster)
        return take_in(top, desk, rosters.read(tmp_path / "roster.csv") if roster else None)

    return found


def entry(found: Intake, student: str, kata: str = SCALE) -> Entry:
    (one,) = [each for each in found.entries if (each.student, each.kata) == (student, kata)]
    return one


def abouts(found: Intake, student: str) -> list[About]:
    return [remark.about for remark in found.remarks if remark.student == student]


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w:gz", *more: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return packed.getvalue()


PLACES = {
    "in its folder": (f"{SCALE}/scale.py", []),
    "in a clone": (f"katas/{SCALE}/scale.py", []),
    "alone": ("scale.py", []),
    "nested": ("my work/week 1/scale.py", [About.ELSEWHERE]),
    "a browser's second": ("scale (1).py", [About.ELSEWHERE]),
    "a platform's second": ("scale-2.py", [About.ELSEWHERE]),
    "in capitals": ("SCALE.PY", [About.ELSEWHERE]),
    "with its number": ("01-scale_final.py", [About.ELSEWHERE]),
    "with an ending more": ("scale.py.txt", [About.ELSEWHERE]),
    "renamed": ("homework.py", [About.ELSEWHERE]),
}


@pytest.mark.parametrize(("place", "remarks"), PLACES.values(), ids=PLACES)
def test_a_file_is_found_where_it_may_be_and_told_of_where_it_is_not_in_its_place(
    look: Look, place: str, remarks: list[About]
) -> None:
    found = look({f"ann/{place}": RIGHT})
    taken = entry(found, "ann")
    assert (taken.state, taken.path) == (State.FILE, f"ann/{place}")
    assert found.contents == {taken.sha256: RIGHT}
    assert abouts(found, "ann") == remarks
    assert entry(found, "ann", "02_line").state is State.MISSING


def test_a_name_alone_is_not_enough_where_it_was_lengthened(look: Look) -> None:
    found = look({"ann/scale-notes.py": b"x = 1\n", "ann/scale (1).py": b"y = 1\n"})
    assert entry(found, "ann").state is State.MISSING
    assert abouts(found, "ann") == [About.UNKNOWN, About.UNKNOWN]


def test_what_defines_two_katas_is_taken_for_neither(look: Look) -> None:
    found = look({"ann/all.py": RIGHT + LINE})
    assert {each.state for each in found.entries} == {State.MISSING}
    assert abouts(found, "ann") == [About.UNKNOWN]


def test_two_that_differ_in_equal_places_are_both_left(look: Look) -> None:
    found = look({"ann/a/scale.py": RIGHT, "ann/b/scale.py": OTHER, "ann/c/scale.py": RIGHT})
    unclear = entry(found, "ann")
    assert unclear.state is State.UNCLEAR
    assert unclear.given is not None and unclear.given.verdict is Verdict.ERROR
    assert "ann/a/scale.py" in unclear.given.message and "ann/b/scale.py" in unclear.given.message
    assert found.contents == {}


def test_two_that_are_the_same_are_one(look: Look) -> None:
    found = look({"ann/a/scale.py": RIGHT, "ann/b/scale.py": RIGHT})
    assert entry(found, "ann").state is State.FILE
    assert abouts(found, "ann") == [About.ELSEWHERE]


def test_the_one_in_its_place_is_taken_and_the_other_told(look: Look) -> None:
    found = look({f"ann/{SCALE}/scale.py": RIGHT, "ann/scale (1).py": OTHER})
    assert entry(found, "ann").path == f"ann/{SCALE}/scale.py"
    assert abouts(found, "ann") == [About.DUPLICATE]


def test_a_stub_in_its_place_does_not_hide_the_work_beside_it(look: Look, toy: Course) -> None:
    stub = toy.katas[0].stub.read_bytes()
    found = look({f"ann/katas/{SCALE}/scale.py": stub, "ann/scale.py": RIGHT})
    assert (entry(found, "ann").state, entry(found, "ann").path) == (State.FILE, "ann/scale.py")


@pytest.mark.parametrize("change", [bytes, lambda stub: b"\xef\xbb\xbf" + stub.replace(b"\n", b" \r\n") + b"\n\n"])
def test_an_untouched_stub_is_to_do_and_is_not_judged(
    look: Look, toy: Course, change: Callable[[bytes], bytes]
) -> None:
    found = look({"ann/scale.py": change(toy.katas[0].stub.read_bytes())})
    stub = entry(found, "ann")
    assert stub.state is State.STUB
    assert stub.given is not None and stub.given.verdict is Verdict.TODO
    assert found.contents == {}


def test_a_stub_with_one_word_more_is_judged(look: Look, toy: Course) -> None:
    assert entry(look({"ann/scale.py": toy.katas[0].stub.read_bytes() + b"# ok\n"}), "ann").state is State.FILE


DELIVERED = {
    "Canvas": ({"doejane_12345_678_scale.py": RIGHT, "doejane_12345_679_line-1.py": LINE}, "12345", "doejane"),
    "Canvas, late": ({"doejane_LATE_12345_678_scale.py": RIGHT, "doejane_12345_679_line-1.py": LINE}, "12345", "doejane"),
    "Canvas, a quiz": (
        {"doejane_12345_question_99_678_scale.py": RIGHT, "doejane_12345_question_98_679_line.py": LINE}, "12345", "doejane",
    ),
    "Canvas, an archive": ({"doejane_12345_678_hw.zip": zipped({"scale.py": RIGHT, "line.py": LINE})}, "12345", "doejane"),
    "Moodle, folders": (
        {f"Jane Doe_77_assignsubmission_file_/{name}": file for name, file in (("scale.py", RIGHT), ("line.py", LINE))},
        "77", "Jane Doe",
    ),
    "Moodle, flat": (
        {"Jane Doe_77_assignsubmission_file_scale.py": RIGHT, "Jane Doe_77_assignsubmission_file_line.py": LINE},
        "77", "Jane Doe",
    ),
    "an archive for each": ({"jane.zip": zipped({"hw/scale.py": RIGHT, "hw/line.py": LINE})}, "jane", ""),
    "a tar for each": ({"jane.tar.gz": tarred({"scale.py": RIGHT, "line.py": LINE})}, "jane", ""),
    "a bzip2 tar": ({"jane.tbz2": tarred({"scale.py": RIGHT, "line.py": LINE}, "w:bz2")}, "jane", ""),
    "Gradescope": (
        {
            "submission_1/scale.py": RIGHT, "submission_1/line.py": LINE,
            "submission_metadata.yml": b"submission_1:\n  :submitters:\n  - :name: Jane Doe\n    :sid: 's1'\n"
            b"  :results:\n    output: \"x\\n  :submitters:\\n  - :sid: evil\"\n",
        },
        "s1", "Jane Doe",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "id", "name"), DELIVERED.values(), ids=DELIVERED)
def test_what_platforms_deliver_is_given_to_whom_they_say(
    look: Look, files: Mapping[str, bytes], id: str, name: str
) -> None:
    found = look(files)
    assert [(student.id, student.name) for student in found.students] == [(id, name)]
    assert [each.state for each in found.entries] == [State.FILE, State.FILE]
    assert entry(found, id).marked_late == any("LATE" in file for file in files)


def test_a_gradescope_group_is_judged_for_each_of_its_members(look: Look) -> None:
    listed = b"submission_1:\n  :submitters:\n  - :sid: a\n  - :sid: b\n"
    found = look({"submission_1/scale.py": RIGHT, "submission_metadata.yml": listed})
    assert {each.student for each in found.entries if each.state is State.FILE} == {"a", "b"}


@pytest.mark.parametrize("broken", [b"submission_1: [", b"- 1\n", b"submission_1:\n  :submitters: {}\n"])
def test_a_list_that_cannot_be_read_is_told(look: Look, broken: bytes) -> None:
    found = look({"submission_1/scale.py": RIGHT, "submission_metadata.yml": broken})
    assert [remark.about for remark in found.remarks] == [About.UNREADABLE]
    assert [student.id for student in found.students] == ["submission_1"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_whole_class_in_an_archive_is_the_same_as_its_folder(
    tmp_path: Path, desk: Desk, look: Look, pack: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    files = {"ann/scale.py": RIGHT, "bob.zip": zipped({"line.py": LINE}), "eve/notes.txt": b"x"}
    folder = look(files)
    packed = tmp_path / ("all.zip" if pack is zipped else "all.tar.gz")
    packed.write_bytes(pack({f"class/{name}": content for name, content in files.items()}))
    archive = take_in(packed, desk)
    assert [student.id for student in archive.students] == [student.id for student in folder.students]
    assert [each.sha256 for each in archive.entries] == [each.sha256 for each in folder.entries]
    assert archive.contents == folder.contents


def test_a_clone_is_read_without_its_history(tmp_path: Path, desk: Desk, look: Look) -> None:
    repository = tmp_path / "in/hw1-octocat"
    look({f"hw1-octocat/katas/{SCALE}/scale.py": RIGHT, "hw1-hubot/scale.py": OTHER})
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    (repository / ".git/scale.py").write_bytes(OTHER)
    roster = "identifier,name\noctocat,Octo Cat\nhubot,Hu Bot\n"
    found = look({}, roster)
    assert entry(found, "octocat").path == f"hw1-octocat/katas/{SCALE}/scale.py"
    assert entry(found, "hubot").state is State.FILE
    assert found.remarks == []


# The roster.


def test_the_roster_says_who_is_missing_and_who_is_unknown(look: Look) -> None:
    roster = "id,name,section,due,late,seat\n7,Ann A,1,2026-09-01T12:00+02:00,,x\n8,Bob B,2,,2026-09-03,y\n"
    found = look({"7/scale.py": RIGHT, "stranger/scale.py": OTHER}, roster)
    ann, bob, stranger = found.students
    assert (ann.id, ann.section, ann.due, ann.more) == ("7", "1", "2026-09-01T12:00:00+02:00", {"seat": "x"})
    assert bob.late.startswith("2026-09-03T00:00:00")
    assert (stranger.id, stranger.in_roster) == ("stranger", False)
    assert [(remark.student, remark.about) for remark in found.remarks] == [
        ("stranger", About.UNKNOWN), ("8", About.MISSING),
    ]  # fmt: skip
    assert entry(found, "stranger").state is State.FILE
    assert entry(found, "8").state is State.MISSING


def test_canvas_and_moodle_find_people_by_name_and_number(look: Look) -> None:
    roster = 'Student,ID,SIS Login ID\nPoints Possible,,\n"Doe, Jane",12345,jd1\nBob B,8,bb\n'
    found = look({"doejane_12345_1_scale.py": RIGHT, "Bob B_99_assignsubmission_file_/scale.py": OTHER}, roster)
    assert {each.student for each in found.entries if each.state is State.FILE} == {"12345", "8"}
    assert found.remarks == []


def test_a_name_that_two_bear_is_given_to_neither(look: Look) -> None:
    roster = "id,name\n1,Ann A\n2,Ann A\n"
    found = look({"Ann A/scale.py": RIGHT}, roster)
    assert {entry(found, id).state for id in "12"} == {State.MISSING}
    assert entry(found, "Ann A").state is State.FILE
    assert About.UNKNOWN in abouts(found, "Ann A")


def test_nobody_takes_anothers_place_by_what_they_write(look: Look) -> None:
    """A header, a file's name and a folder in a student's own folder are the student's words, and mean nobody else."""
    files = {"ann/scale.py": RIGHT, "bob/ann/scale.py": b"# id: ann\n" + OTHER, "bob/ann_1_2_scale.py": OTHER}
    found = look(files, "id\nann\nbob\n")
    assert entry(found, "ann").path == "ann/scale.py"
    assert entry(found, "bob").path == "bob/ann/scale.py"


def test_two_folders_of_one_student_are_told_and_what_differs_is_left(look: Look) -> None:
    found = look({"ann/scale.py": RIGHT, "ann.zip": zipped({"scale.py": OTHER}), "ann/line.py": LINE})
    assert About.DUPLICATE in abouts(found, "ann")
    assert (entry(found, "ann").state, entry(found, "ann", "02_line").state) == (State.UNCLEAR, State.FILE)


ROSTERS = {
    "without ids": ("name\nann\n", "no column with ids"),
    "an id twice": ("id\nann\nANN\n", "a second time"),
    "no id": ("id,name\n,ann\n", "no id"),
    "no date": ("id,due\nann,tomorrow\n", ":2: due must look like 2026-10-01T23:59, found .?tomorrow"),
    "nobody": ("id\n", "lists no student"),
    "no text": ("id\n\x00\udcff", "UTF-8"),
}


@pytest.mark.parametrize(("content", "said"), ROSTERS.values(), ids=ROSTERS)
def test_a_roster_at_fault_is_told_before_anything_runs(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CourseFault, match=said):
        rosters.read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_roster_as_spreadsheets_write_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(f"ID{delimiter}First name{delimiter}Surname\r\n1{delimiter}Ann{delimiter}李\r\n".encode(encoding))
    (student,) = rosters.read(path).students
    assert (student.id, student.name) == ("1", "Ann 李")


# What is hostile or broken: one student's, never the class's.


def test_a_folder_that_is_a_link_to_anothers_is_not_followed(look: Look) -> None:
    found = look({"ann/scale.py": RIGHT, "bob": "ann", "eve/scale.py": "../ann/scale.py", "eve/deep": "../ann"})
    for student in ("bob", "eve"):
        refused = entry(found, student)
        assert refused.state is State.REFUSED and refused.given is not None
        assert "is a link" in refused.given.message
    assert entry(found, "ann").state is State.FILE


BAD_FILES = {
    "too large": b"#" * (1 << 20) + b"#",
    "no UTF-8": b"x = '\xff'\n",
    "UTF-16": "x = 1\n".encode("utf-16"),
    "NUL": b"x = 1\0",
    "empty": b"\n",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("where", ["folder", "archive"])
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(look: Look, content: bytes, where: str) -> None:
    files = {"ann/scale.py": content} if where == "folder" else {"ann.zip": zipped({"scale.py": content})}
    refused = entry(look(files), "ann")
    assert refused.state is State.REFUSED
    assert refused.given is not None and "scale.py" in refused.given.message


def test_a_pipe_is_not_waited_for(look: Look, tmp_path: Path) -> None:
    (tmp_path / "in/ann").mkdir(parents=True)
    os.mkfifo(tmp_path / "in/ann/scale.py")
    os.mkfifo(tmp_path / "in/bob.zip")
    found = look({"eve/scale.py": RIGHT})
    assert entry(found, "ann").state is State.REFUSED
    assert entry(found, "bob").state is State.REFUSED
    assert entry(found, "eve").state is State.FILE


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("scale.py")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return packed.getvalue()


def encrypted_zip() -> bytes:
    packed = bytearray(zipped({"scale.py": RIGHT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + offset] |= 1
    return bytes(packed)


def twice_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("scale.py", RIGHT)
        archive.writestr("scale.py", OTHER)
    return packed.getvalue()


HOSTILE = {
    "up": (zipped({"../../scale.py": RIGHT}), "leads out"),
    "up, in the middle": (zipped({"a/../../scale.py": RIGHT}), "leads out"),
    "absolute": (zipped({"/tmp/scale.py": RIGHT}), "leads out"),
    "a drive": (zipped({"C:\\scale.py": RIGHT}), "leads out"),
    "up, as Windows writes it": (zipped({"..\\scale.py": RIGHT}), "leads out"),
    "up, in a tar": (tarred({"../scale.py": RIGHT}), "leads out"),
    "a link in a zip": (linked_zip(), "is a link"),
    "a link in a tar": (tarred({}, "w:gz", special("scale.py", tarfile.SYMTYPE, "/etc/passwd")), "is a link"),
    "a hard link": (tarred({}, "w", special("scale.py", tarfile.LNKTYPE, "/etc/passwd")), "is a link"),
    "a device": (tarred({}, "w", special("scale.py", tarfile.CHRTYPE)), "is a link or no regular file"),
    "escapes in a name": (zipped({"\x1b[2J/scale.py": RIGHT}), "left out"),
    "deep": (zipped({"a/" * 40 + "scale.py": RIGHT}), "left out"),
    "encrypted": (encrypted_zip(), "encrypted"),
    "a bomb in a zip": (zipped({f"{n}.py": bytes(1 << 20) for n in range(70)}), "MiB unpacked"),
    "a bomb in a tar": (tarred({"x.bin": bytes(80 << 20)}), "grows without end"),
    "a bomb of one file": (zipped({"scale.py": b"#" * (200 << 20)}), "more than 1 MiB"),
    "ten thousand members": (zipped({f"{n}.txt": b"" for n in range(10_001)}), "10,000"),
    "a directory too large": (zipped({f"{n:0900}": b"" for n in range(5_000)}), "directory or header"),
    "cut off": (zipped({"scale.py": RIGHT})[:-30], "cannot be read"),
    "cut off tar": (tarred({"scale.py": os.urandom(1 << 16)})[:-30000], "cannot be read"),
    "no archive": (b"not a zip", "cannot be read"),
    "nothing": (b"", "cannot be read"),
}


@pytest.mark.parametrize(("packed", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_its_students_alone(look: Look, tmp_path: Path, packed: bytes, said: str) -> None:
    found = look({"ann.zip": packed, "bob/scale.py": RIGHT})
    told = [str(remark.said) for remark in found.remarks if remark.student == "ann"]
    given = entry(found, "ann").given
    assert any(said in each for each in [*told, given.message if given else ""])
    assert entry(found, "ann").state in (State.REFUSED, State.MISSING)
    assert entry(found, "bob").state is State.FILE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "roster.csv"]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["ann.zip", "bob"]


def test_members_that_other_systems_take_for_one_are_told(look: Look) -> None:
    found = look({"ann.zip": zipped({"scale.py": RIGHT, "Scale.py": OTHER}), "bob.zip": twice_zip()})
    assert entry(found, "ann").path == "ann.zip/scale.py"
    assert About.DUPLICATE in abouts(found, "ann")
    assert entry(found, "bob").state is State.UNCLEAR


def test_an_archive_in_a_students_archive_is_not_opened(look: Look) -> None:
    inner = zipped({"scale.py": RIGHT})
    found = look({"ann.zip": zipped({"inner.zip": inner})})
    assert entry(found, "ann").state is State.MISSING


def test_names_that_are_no_text_are_shown_and_do_no_harm(look: Look, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "in") + b"/b\xffb\x1b[2J"
    os.makedirs(folder)
    Path(os.fsdecode(folder), "scale.py").write_bytes(RIGHT)
    found = look({"ann/scale.py": RIGHT})
    (odd,) = [student for student in found.students if student.id != "ann"]
    assert odd.id.isprintable() and odd.id.encode()
    assert entry(found, odd.id).state is State.FILE


def test_notebooks_are_told_of_and_not_read(look: Look) -> None:
    found = look({"ann/scale.ipynb": b"{}", "ann/essay.pdf": b"x"})
    assert [remark.path for remark in found.remarks] == ["ann/scale.ipynb"]


def test_an_empty_folder_is_a_student_with_nothing(look: Look, tmp_path: Path) -> None:
    (tmp_path / "in/bob").mkdir(parents=True)
    found = look({"ann/scale.py": RIGHT, "stray.py": RIGHT})
    assert entry(found, "bob").state is State.MISSING
    assert [remark.path for remark in found.remarks] == ["stray.py"]


def test_what_is_neither_a_folder_nor_an_archive_is_told(tmp_path: Path, desk: Desk) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    for wrong in ("a.txt", "nowhere"):
        with pytest.raises(UsageFault, match="neither a folder nor an archive"):
            take_in(tmp_path / wrong, desk)
