"""What a gradebook is written as: held against readers and schemas of others, hostile words, and a disk that is full."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grader
from grader.classroom.exports import FORMATS, data, folder, tables
from grader.classroom.exports.folder import file_name, into
from grader.classroom.exports.tables import inert, read_canvas
from grader.classroom.exports.write import write
from grader.classroom.overrides import Override
from grader.errors import UsageFault
from grader.messages.language import Language

from .pupils import WORKS, Class, P, kata, small
from .test_gradebook import decided, opened

ENGLISH = Language()
HOSTILE = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "=HYPERLINK(\"http://x\",\"y\")",
    "=cmd|' /C calc'!A0", "\uff1d1+1", "\uff20x", "a\nb", "a\r\nb", "a\tb", 'a"b', "a,b", "a;b", "\u202eabc", "\x1b[31m",
    "\x00", "\ud800",
]  # fmt: skip
SCHEMA = Path(grader.__file__).with_name("schemas") / "gradebook.schema.json"

# https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format, as a schema
_VISIBLE = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
_FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
RESULTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "tests"],
    "properties": {
        "score": {"type": "number"}, "execution_time": {"type": "number"}, "output": {"type": "string"},
        "output_format": _FORMAT, "test_output_format": _FORMAT, "test_name_format": _FORMAT,
        "visibility": _VISIBLE, "stdout_visibility": _VISIBLE, "extra_data": {"type": "object"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"}, "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]}, "name": {"type": "string"}, "number": {"type": "string"},
                    "output": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": _VISIBLE, "extra_data": {"type": "object"},
                },
            },
        },
    },
}  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def export(out: Path, *decisions: Override, formats: tuple[str, ...] = FORMATS) -> Path:
    with opened(out, *decisions) as book:
        write(book, out / "to", formats, ENGLISH)
    return out / "to"


def test_every_format_is_there_and_the_disk_holds_nothing_else(tmp_path: Path) -> None:
    to = export(small(tmp_path))
    found = {path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()}
    assert found == {
        ".gradebook", "gradebook.csv", "totals.csv", "canvas.csv", "gradebook.json", "teacher.html",
        *(f"students/s{n}.html" for n in (1, 2, 3, 4)), *(f"gradescope/s{n}/results.json" for n in (1, 2, 4)),
    }  # fmt: skip
    assert to.stat().st_mode & 0o77 == 0


def test_a_reader_of_csv_finds_a_row_for_each_student_and_kata(tmp_path: Path) -> None:
    rows = read(export(small(tmp_path), decided("s4", points=2.5)) / "gradebook.csv")
    assert [(row["student"], row["kata"]) for row in rows] == [
        (f"s{n}", f"0{k}_kata") for n in (1, 2, 3, 4) for k in (1, 2)
    ]
    late = rows[2]
    assert (late["raw"], late["late_days"], late["late_percent"], late["points"], late["max"]) == (
        "2",
        "3",
        "30",
        "1.4",
        "4",
    )
    assert (rows[4]["verdict"], rows[4]["points"], rows[5]["verdict"], rows[5]["points"]) == ("internal", "", "", "")
    by_hand = rows[6]
    assert (by_hand["decision"], by_hand["reason"], by_hand["author"]) == ("points = 2.5", "ill", "the teacher")
    assert {row["sandbox"] for row in rows} == {"landlock seccomp"}
    assert len({row["seed_sha256"] for row in rows}) == 1


def test_totals_are_left_out_where_points_are_to_come(tmp_path: Path) -> None:
    rows = read(export(small(tmp_path), decided("s4", excused=True)) / "totals.csv")
    assert [(row["student"], row["01_kata"], row["points"], row["max"]) for row in rows] == [
        ("s1", "4", "8", "8"), ("s2", "1.4", "2.8", "8"), ("s3", "", "", "8"), ("s4", "excused", "0", "4"),
    ]  # fmt: skip


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_hostile_cell_is_text_on_one_line_of_one_cell(tmp_path: Path, cell: str) -> None:
    made = Class(tmp_path, [kata(1)])
    made.student(
        "s1", {"01_kata": (WORKS, [P, P, P, P])}, name=cell.replace("\ud800", "?"), section=cell.replace("\ud800", "")
    )
    to = export(made.put(), decided("s1", points=-0.0))
    for name in ("gradebook.csv", "totals.csv", "canvas.csv"):
        rows = read(to / name)
        assert len(rows) == (2 if name == "canvas.csv" else 1)
        for shown in rows[-1].values():
            assert shown is not None
            assert not shown.lstrip().startswith(tuple("=+-@\uff1d\uff20"))
            assert shown.isprintable()


@given(st.text())
def test_no_text_begins_like_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(tables.table([[text, 1.5]]), newline=""), strict=True)
    assert row[1] == "1.5"
    assert not row[0].strip().startswith(tuple("=+-@|%\t\r\n"))
    assert text.strip() == "" or row[0] != ""


@pytest.mark.parametrize("number", [0, 3, 0.0, 2.5, 1 / 3, 100.0])
def test_numbers_stay_numbers(number: float) -> None:
    assert float(inert(number)) == pytest.approx(number, abs=0.01)


CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Kata (77),01_kata (78),Final Score\r\n"
    ",,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,10,4,(read only)\r\n"
    '"One, S.",901,s1,one@example.org,A,,3,1\r\n'
    '"Two, S.",902,,s2,A,,,1\r\n'
    '"Student, Test",903,,x,A,,,\r\n'
)


def test_canvas_is_given_its_own_columns_and_rows_back(tmp_path: Path) -> None:
    known = read_canvas(CANVAS, [("01_kata", "slug", "Scale"), ("02_kata", "other", "Kata")])
    with opened(small(tmp_path), decided("s1", "02_kata", excused=True)) as book:
        done = write(book, tmp_path / "to", ["canvas"], ENGLISH, exported=known)
    with (tmp_path / "to" / "canvas.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert rows == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_kata (78)", "Kata (77)"],
        ["    Points Possible", "", "", "", "", "4", "4"],
        ["One, S.", "901", "s1", "one@example.org", "A", "4", "EX"],
        ["Two, S.", "902", "", "s2", "A", "1.4", "1.4"],
    ]
    assert (done.unknown, done.absent) == (("s3", "s4"), ())
    (apart,) = done.apart
    assert str(apart).startswith("Canvas has 10 points for 02_kata, the course 4")


def test_whom_canvas_alone_has_is_told(tmp_path: Path) -> None:
    known = read_canvas(CANVAS + '"Nine, S.",909,s9,,A,,,\r\n', [("01_kata", "slug", "Scale")])
    with opened(small(tmp_path)) as book:
        done = write(book, tmp_path / "to", ["canvas"], ENGLISH, exported=known)
    assert (done.absent, done.apart) == (("Nine, S.",), ())


def test_canvas_is_asked_what_the_columns_are_where_nothing_was_exported(tmp_path: Path) -> None:
    to = export(small(tmp_path), formats=("canvas",))
    with (to / "canvas.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert rows[0] == [*tables.CANVAS, "01_kata Scale", "02_kata Scale"]
    assert rows[1][0] == "    Points Possible"
    assert rows[2] == ["One", "", "", "s1", "A", "4", "4"]
    assert rows[4][5:] == ["", ""]


@pytest.mark.parametrize(
    ("exported", "fault"),
    [
        ("", "no gradebook that Canvas exported"),
        ("a,b\r\n", "no gradebook that Canvas exported"),
        ("Student,ID,Homework (1)\r\n", "Canvas has no column for any of the katas"),
        ("Student,ID,Scale (1),01_kata (2)\r\n", "Canvas has 2 columns for 01_kata"),
    ],
)
def test_what_canvas_did_not_export_is_refused(exported: str, fault: str) -> None:
    with pytest.raises(UsageFault, match=fault):
        read_canvas(exported, [("01_kata", "kata", "Scale")])


def test_results_follow_gradescopes_documents(tmp_path: Path) -> None:
    to = export(small(tmp_path), decided("s4", "02_kata", excused=True))
    found = {path.parent.name: json.loads(path.read_text()) for path in to.glob("gradescope/*/results.json")}
    assert found.keys() == {"s1", "s2", "s4"}  # not everything of the third is judged
    for results in found.values():
        jsonschema.Draft202012Validator(RESULTS).validate(results)
    assert found["s2"]["score"] == pytest.approx(2.8)
    assert "01_kata: 3 days late: 30 % less" in found["s2"]["output"]
    assert (found["s4"]["score"], found["s4"]["extra_data"]["max"]) == (0.0, 4.0)
    assert "02_kata: excused: ill (the teacher)" in found["s4"]["output"]


def schema() -> dict[str, Any]:
    """The schema that the records stand for; every field is there in every file."""
    made = msgspec.json.schema(data.Book)
    for definition in made["$defs"].values():
        if "properties" in definition:
            definition["required"] = list(definition["properties"])
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:gradkata:gradebook:{data.FORMAT_VERSION}",
    }
    return {**head, "title": "Gradebook", "description": "A class as it stands.", **made}


def test_the_schema_in_the_package_is_that_of_the_records() -> None:
    """With GOLDEN=write in the environment the file is written instead."""
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("GOLDEN") == "write":
        SCHEMA.write_text(text, encoding="utf-8", newline="\n")
    assert SCHEMA.read_text(encoding="utf-8") == text
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_json_follows_its_schema_and_has_what_counts(tmp_path: Path) -> None:
    to = export(small(tmp_path), decided("s4", points=2.5))
    book = json.loads((to / "gradebook.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(book)
    assert [(each["id"], each["points"]) for each in book["students"]] == [
        ("s1", 8.0),
        ("s2", 2.8),
        ("s3", None),
        ("s4", 2.5),
    ]
    assert book["students"][3]["katas"][0]["decisions"][0]["author"] == "the teacher"
    assert len(book["students"][1]["katas"][0]["tests"]) == 4


def test_a_class_of_nobody_is_json_too(tmp_path: Path) -> None:
    to = export(Class(tmp_path).put())
    assert json.loads((to / "gradebook.json").read_text())["students"] == []


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_students_never_share_a_file(one: str, other: str) -> None:
    names = [file_name(id).casefold() for id in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert all(Path(name).name == name and len(name) < 100 and name.isascii() for name in names)


@pytest.mark.parametrize(
    "id", ["../../etc", "a/b", "CON", "con", "nul.txt", ".", "..", "a.", "-rf", "Ada", "ä", "a" * 300, "~"]
)
def test_a_hostile_id_is_no_path(tmp_path: Path, id: str) -> None:
    made = Class(tmp_path / "class", [kata(1)])
    made.student(id, {"01_kata": (WORKS, [P, P, P, P])})
    to = export(made.put())
    (page,) = (to / "students").iterdir()
    assert page.name == f"{file_name(id)}.html" != f"{id}.html"
    assert {path.name for path in tmp_path.iterdir()} == {"class"}


def content(to: Path) -> dict[str, bytes]:
    return {path.relative_to(to).as_posix(): path.read_bytes() for path in sorted(to.rglob("*")) if path.is_file()}


def test_files_of_students_who_are_gone_go_too_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    to = export(small(tmp_path / "one"))
    (to / "students" / "mine.txt").write_text("mine")
    (to / "notes.txt").write_text("mine")
    made = Class(tmp_path / "two", [kata(1)])
    made.student("s1", {"01_kata": (WORKS, [P, P, P, P])})
    with opened(made.put()) as book:
        write(book, to, ["html"], ENGLISH)
        assert {path.name for path in (to / "students").iterdir()} == {"s1.html", "mine.txt"}
        assert (to / "gradescope" / "s2" / "results.json").is_file()
        write(book, to, ["gradescope"], ENGLISH)
    assert [path.name for path in (to / "gradescope").iterdir()] == ["s1"]
    assert (to / "notes.txt").read_text() == "mine"


def test_nothing_is_written_or_taken_away_through_a_link(tmp_path: Path) -> None:
    out, other = small(tmp_path / "class"), tmp_path / "other"
    other.mkdir()
    (other / "s1.html").write_text("mine")
    to = out / "to"
    to.mkdir()
    (to / "students").symlink_to(other)
    (to / "gradebook.csv").symlink_to(other / "s1.html")
    (to / folder.LIST).write_text("../other/s1.html\n/etc/hostname\n")
    export(out)
    assert content(other) == {"s1.html": b"mine"}
    assert (to / "students" / "s1.html").is_file()
    assert not (to / "gradebook.csv").is_symlink()


FULL = """
import resource, signal, sys
from contextlib import closing
from pathlib import Path
from grader.classroom.exports import FORMATS
from grader.classroom.exports.write import write
from grader.classroom.gradebook import Gradebook
from grader.classroom.journal import Journal
from grader.classroom.late import Policy
from grader.classroom.overrides import Overrides
from grader.errors import UsageFault
from grader.messages.language import Language
out, most = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with closing(Journal.read(out)) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        write(Gradebook(journal, Policy(), Overrides()), out / "to", FORMATS, Language())
    except UsageFault as fault:
        print(fault)
"""


@pytest.mark.parametrize("most", [0, 3_000, 7_000])
def test_a_full_disk_leaves_the_old_export_whole(tmp_path: Path, most: int) -> None:
    to = export(small(tmp_path))
    before = content(to)
    (to / "gradebook.csv").write_text("old")
    run = [sys.executable, "-c", FULL, str(tmp_path), str(most)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "cannot write" in said
    assert content(to) == {**before, "gradebook.csv": b"old"}


def test_an_export_that_fails_on_the_way_changes_nothing(tmp_path: Path) -> None:
    to = export(small(tmp_path))
    before = content(to)
    with pytest.raises(ZeroDivisionError), into(to, ["gradebook.csv"]) as broken:
        broken.add("gradebook.csv", "new")
        raise ZeroDivisionError
    assert content(to) == before


def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    out = small(tmp_path)
    (out / "to" / ".new" / "students").mkdir(parents=True)
    (out / "to" / ".new" / "students" / "s9.html").write_text("half")
    assert not (export(out) / ".new").exists()
