"""What `grade check --changed` proves: wholly what is not on record as it stands, and of the rest a part that follows the week."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.authoring.check import Wanted, check
from grader.authoring.proving import proof
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.proof import PARTS, Depth
from grader.authoring.proving.subject import Subject
from grader.authoring.showing import tables
from grader.authoring.showing.document import Check
from grader.cli import main
from grader.course import Course, find

from .workshop import ID, SHORT, edited, new_bench, scaffold

DUE, LATER = 0, 1  # weeks in which a part of the first kata of a course is tried, and in which it is not
RECORD = f"reference/{ID}/{proof.FILE}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = new_bench(tmp_path_factory.mktemp("bench"))
    yield made
    made.close()
    made.store.close()


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Course:
    """A course of one kata that was proved on three seeds and put on record."""
    made = scaffold(tmp_path_factory.mktemp("course"))
    assert check(made.root, Wanted(seeds=3, record=True), bench).holds
    return made


def changed(root: Path, bench: Bench, week: int = LATER) -> tuple[Check, str]:
    """What `--changed` finds in that week, and the depth to which the kata was proved."""
    found = check(root, Wanted(seeds=3, week=week), bench)
    return found, found.katas[0].proved


def test_what_is_on_record_is_tried_in_part_once_in_some_weeks(proved: Course, bench: Bench) -> None:
    record = proof.on_record(Subject(proved, proved.katas[0]))
    assert record is not None and record.seeds == 3
    before = bench.judged
    found, depth = changed(proved.root, bench)
    assert (depth, found.holds, bench.judged) == (Depth.FILES, True, before)
    found, depth = changed(proved.root, bench, DUE)
    assert (depth, found.holds) == (Depth.PART, True)
    assert [changed(proved.root, bench, week)[1] for week in range(PARTS)].count(Depth.PART) == 1


def test_every_mistake_has_its_turn_in_the_weeks_of_its_kata(proved: Course) -> None:
    subject, tried = Subject(proved, proved.katas[0]), []
    for week in range(DUE, PARTS * PARTS, PARTS):
        part = list(Evidence(subject, 1, depth=Depth.PART, week=week).base(full=False))
        assert {trial.case for trial in part if trial.case.right} == {case for case in subject.cases if case.right}
        tried += [trial.case for trial in part if not trial.case.right]
    assert sorted(case.name for case in tried) == sorted(case.name for case in subject.of(Role.MISTAKE))


@pytest.mark.parametrize("name", ["suite", "reference", "mistakes.toml", "variant", "zh.po", "kata.toml", RECORD])
def test_a_kata_with_another_file_is_proved_wholly(proved: Course, name: str, tmp_path: Path) -> None:
    subject = edited(proved, tmp_path, {})
    path = tmp_path / SHORT.get(name, name)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 1) if name != RECORD else b"files = 3\n")
    assert proof.due(subject, DUE, LATER) is Depth.WHOLE


def test_another_grader_is_tried_on_a_part_of_every_kata(proved: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(proved, proved.katas[0])
    assert proof.due(subject, DUE, LATER) is Depth.FILES
    monkeypatch.setattr(proof, "judging_digest", lambda: "another")
    assert proof.due(subject, DUE, LATER) is Depth.PART


def test_another_statement_is_no_other_suite(proved: Course, tmp_path: Path) -> None:
    subject = edited(proved, tmp_path, {})
    with open(tmp_path / SHORT["page"], "a", encoding="utf-8") as page:
        page.write("\nOne more line.\n")
    assert proof.due(subject, DUE, LATER) is Depth.FILES


def test_a_suite_that_was_broken_is_found(proved: Course, bench: Bench, tmp_path: Path) -> None:
    """It compares nothing any more, which right solutions pass and mistakes too."""
    suite = (proved.root / SHORT["suite"]).read_text(encoding="utf-8")
    broken = suite.replace("    assert_close(", "    (lambda *values, **named: None)(")
    edited(proved, tmp_path, {"suite": broken})
    found, depth = changed(tmp_path, bench)
    assert (depth, found.holds) == (Depth.WHOLE, False)
    assert {"caught", "useful"} <= {finding.rule for finding in found.all_findings}


def test_a_check_of_the_grader_that_was_broken_is_found(
    proved: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judges here read this process's grader from disk, so the break stands in the suite's own import, under its old digest."""
    suite = (proved.root / SHORT["suite"]).read_text(encoding="utf-8")
    edited(proved, tmp_path, {"suite": suite + "\n\ndef assert_close(*values, **named):\n    pass\n"})
    subject = Subject(find(tmp_path, tmp_path), find(tmp_path, tmp_path).katas[0])
    proof.write(subject, 3)
    monkeypatch.setattr(proof, "judging_digest", lambda: "another")
    own = new_bench(tmp_path)
    try:
        found, depth = zip(*(changed(tmp_path, own, week) for week in range(PARTS)), strict=True)
    finally:
        own.close()
        own.store.close()
    assert set(depth) == {Depth.PART}
    assert {finding.rule for each in found for finding in each.all_findings} >= {"caught"}


def test_a_part_leaves_the_tables_and_the_record_as_they_are(proved: Course, bench: Bench) -> None:
    page = f"{tables.BEGIN}\n{tables.END}\n"
    whole = check(proved.root, Wanted(seeds=3), bench)
    part, _ = changed(proved.root, bench, DUE)
    written = tables.into(page, "page", whole, keep=False)
    assert tables.into(written, "page", part, keep=True) == written and f"| {ID} | holds | 3 |" in written
    assert "1 of 1 katas hold, 0 of them proved on 3 seeds" in tables.screen(part)
    assert "as on record" in tables.screen(part) and "kind" not in tables.screen(part)
    before = (proved.root / RECORD).read_bytes()
    assert check(proved.root, Wanted(seeds=1, record=True, week=DUE), bench).holds
    assert check(proved.root, Wanted(seeds=2, record=True), bench).holds  # fewer seeds
    assert (proved.root / RECORD).read_bytes() == before


def test_the_command_takes_the_week_from_the_calendar(
    proved: Course, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(proved.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(proof, "week", lambda: LATER)
    words = ["check", "-j", "1", "--course", str(tmp_path), "--changed"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0 and "; 0 trials judged" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*words, "--mutate"])
    assert ended.value.code == 2 and "--changed goes with neither" in capsys.readouterr().err
