"""Verdicts, points and exit codes; strings made safe; and the JSON that other programs rely on."""

import json
import math
import os
import struct
from base64 import b64encode
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

import grader
from grader import reports
from grader.kata import Kata
from grader.messages import text
from grader.scorecard import (
    FORMAT_VERSION,
    SEVERITY,
    Cause,
    Curve,
    KataResult,
    Line,
    Matrix,
    Numbers,
    Observation,
    Scorecard,
    Shades,
    TestResult,
    Text,
    Verdict,
    exit_code,
    grade_kata,
    reject_kata,
    total,
    visible,
)

SCHEMA = Path(grader.__file__).with_name("schemas") / "scorecard.schema.json"
POINTS = {"shape": 1.0, "value": 3.0, "gradient": 3.5}
KINDS = ["shape", "value", "value", "value", "gradient", "gradient"]
ONE = Numbers((1, 1), struct.pack("<f", 1.0))
P, F, T = Verdict.PASS, Verdict.FAIL, Verdict.TODO


def kata(points: dict[str, float] | None = None, tests: int = len(KINDS), id: str = "04_lstm") -> Kata:
    return cast(Kata, SimpleNamespace(id=id, title="LSTM", tests=tests, points=points or POINTS))


def results(*verdicts: Verdict, kinds: list[str] = KINDS) -> list[TestResult]:
    return [
        TestResult(name=f"test_{i}", kind=kind, title=f"Title {i}", verdict=verdict)
        for i, (kind, verdict) in enumerate(zip(kinds, verdicts, strict=True))
    ]


def grade(*verdicts: Verdict) -> KataResult:
    return grade_kata(kata(), results(*verdicts), seconds=1.0)


def card(*katas: KataResult, unfinished: tuple[str, ...] = (), **fields: Any) -> Scorecard:
    asked = [kata(id=each) for each in (*(result.id for result in katas), *unfinished)]
    return Scorecard(
        course="course", grader="0.1.0", versions={"python": "3.11"}, seed=0, sandbox="none", jobs=1,
        started="2026-03-01T09:30:00+00:00", seconds=2.0, score=total(asked, katas), complete=not unfinished,
        katas=katas, unfinished=unfinished, **fields,
    )  # fmt: skip


def test_all_passes_earn_all_points_exactly() -> None:
    result = grade(P, P, P, P, P, P)
    assert (result.verdict, result.points, result.max, result.message) == (P, 7.5, 7.5, "")
    assert {kind: (s.points, s.max, s.passed, s.total) for kind, s in result.by_kind.items()} == {
        "shape": (1.0, 1.0, 1, 1),
        "value": (3.0, 3.0, 3, 3),
        "gradient": (3.5, 3.5, 2, 2),
    }


def test_a_kinds_points_are_shared_by_its_tests_and_only_a_pass_earns() -> None:
    result = grade(P, P, F, Verdict.TIMEOUT, P, Verdict.CRASH)
    assert result.points == 1.0 + 1.0 + 1.75
    assert [test.points for test in result.tests] == [1.0, 1.0, 0.0, 0.0, 1.75, 0.0]
    assert [test.max for test in result.tests] == [1.0, 1.0, 1.0, 1.0, 1.75, 1.75]


@given(st.tuples(*[st.sampled_from(Verdict)] * 6), st.tuples(*[st.floats(0, 9)] * 3))
def test_points_add_up_for_any_verdicts_and_any_worth(verdicts: tuple[Verdict, ...], worth: tuple[float, ...]) -> None:
    result = grade_kata(kata(dict(zip(POINTS, worth, strict=True))), results(*verdicts), seconds=0.0)
    assert result.max == math.fsum(worth)
    assert result.points == math.fsum(score.points for score in result.by_kind.values()) <= result.max
    assert math.isclose(result.points, sum(test.points for test in result.tests), abs_tol=1e-9)
    assert all((test.points == test.max) if test.verdict is P else test.points == 0 for test in result.tests)
    assert (result.verdict is P) == (set(verdicts) == {P})
    assert result.points == result.max or result.verdict is not P


@pytest.mark.parametrize(("worse", "milder"), [(a, b) for i, a in enumerate(SEVERITY) for b in SEVERITY[i + 1 :]])
def test_the_worse_verdict_names_the_kata_in_whatever_order_they_come(worse: Verdict, milder: Verdict) -> None:
    for order in set(permutations((worse, milder, T, P))):
        assert grade(P, P, *order).verdict is worse


def test_an_untouched_stub_is_to_do_and_a_begun_one_says_how_much_is_left() -> None:
    assert (grade(T, T, T, T, T, T).verdict, grade(T, T, T, T, T, T).message) == (T, "")
    assert (grade(P, P, T, T, T, T).verdict, grade(P, P, T, T, T, T).message) == (T, "4 of 6 tests still to do")
    assert (grade(P, F, T, P, P, P).verdict, grade(P, F, T, P, P, P).message) == (F, "1 of 6 tests still to do")


@pytest.mark.parametrize("tests", [0, 5, 7])
@pytest.mark.parametrize("verdict", [P, T, F])
def test_another_number_of_tests_than_announced_is_our_fault_and_earns_nothing(tests: int, verdict: Verdict) -> None:
    result = grade_kata(kata(tests=tests), results(*[verdict] * 6), seconds=0.0)
    assert (result.verdict, result.points, result.max) == (Verdict.INTERNAL, 0.0, 7.5)
    assert result.message == f"the suite ran 6 tests, its manifest says {tests}"
    assert [test.points for test in result.tests] == [0.0] * 6


def test_no_tests_at_all_never_pass() -> None:
    assert grade_kata(kata(), [], seconds=0.0).verdict is Verdict.INTERNAL
    assert grade_kata(kata({"shape": 1.0}, tests=0), [], seconds=0.0).verdict is Verdict.INTERNAL


def test_kinds_that_suite_and_manifest_disagree_about_are_our_fault() -> None:
    kinds = ["shape", "value", "value", "value", "value", "magic"]
    result = grade_kata(kata(), results(P, P, P, P, P, P, kinds=kinds), seconds=0.0)
    assert (result.verdict, result.points) == (Verdict.INTERNAL, 0.0)
    assert result.message == "suite and manifest disagree about tests of kind gradient, magic"


def test_a_rejected_kata_has_no_tests_no_points_and_never_passes() -> None:
    result = reject_kata(kata(), Verdict.ERROR, [text("{file} is a pipe", file="lstm.py")])
    assert (result.verdict, result.points, result.max, result.tests) == (Verdict.ERROR, 0.0, 7.5, ())
    assert result.message == "lstm.py is a pipe"
    with pytest.raises(ValueError, match="by its tests only"):
        reject_kata(kata(), P, [])


def test_exit_codes() -> None:
    good, bad, ours = grade(P, P, P, P, P, P), grade(P, P, P, P, P, F), reject_kata(kata(), Verdict.INTERNAL, [])
    assert exit_code(card(good, good)) == 0
    assert exit_code(card(good, bad)) == 1
    assert exit_code(card(grade(T, T, T, T, T, T))) == 1
    assert exit_code(card(good, bad, ours)) == 3
    assert exit_code(card(good, unfinished=("07_vae",))) == 1
    assert exit_code(card()) == 1


def test_the_score_counts_what_was_asked_for_and_not_judged() -> None:
    found = card(grade(P, P, P, P, P, P), unfinished=("07_vae",))
    assert (found.score.points, found.score.max) == (7.5, 15.0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("从零　实现", "从零　实现"),
        ("\x1b[32mPASS\x1b[0m", r"\x1b[32mPASS\x1b[0m"),
        ("\x9b2J", r"\x9b2J"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202eexe.gnp", r"\u202eexe.gnp"),
        ("a\u2028b\u200bc", r"a\u2028b\u200bc"),
        ("\ud800\x00\ufffe\U0010ffff", r"\ud800\x00\ufffe\U0010ffff"),
    ],
)
def test_what_a_screen_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_and_tabs_of_longer_texts_stay() -> None:
    assert visible("a\r\n\tb\rc", lines=True) == "a\n\tb\\rc"


@given(st.text(st.characters(), max_size=60), st.integers(10, 50), st.booleans())
def test_visible_is_printable_bounded_valid_and_done_once(text: str, limit: int, lines: bool) -> None:
    shown = visible(text, limit, lines=lines)
    assert len(shown) <= limit
    assert all(c.isprintable() or c in "\u00a0\u3000" or (lines and c in "\n\t") for c in shown)
    assert visible(shown, limit, lines=lines) == shown
    shown.encode("utf-8")
    if len(text) > limit:
        assert shown.endswith("[cut]")


def test_every_string_of_a_record_is_made_visible_and_cut() -> None:
    evil = "\x1b[2J\ud800" + "x" * 100_000
    test = TestResult(
        name=evil, kind=evil, title=evil, verdict=F, message=evil, output=evil, line=Line(3, evil),
        cause=Cause(evil, evil, evil, evil), observations=(Observation(evil, evil, 1.0, 1.0),),
        pictures=(Text(evil, evil), Matrix(evil, ONE, (evil, evil)), Curve(evil, ONE)),
    )  # fmt: skip
    result = replace(grade(P, P, P, P, P, P), id=evil, message=evil, stub=evil, readme=evil, tests=(test,))
    text = reports.render("json", replace(card(result), course=evil, sandbox=evil, versions={evil: evil}))
    assert r"\u001b" not in text and r"\\x1b[2J" in text
    assert len(text) < 100_000


def test_numbers_that_are_not_finite_become_null() -> None:
    test = replace(
        results(P, kinds=["shape"])[0],
        pictures=(Curve("loss", ONE, math.nan),),
        observations=(Observation("close", "h", math.inf, 1e-6, math.nan),),
    )
    assert test.pictures == (Curve("loss", ONE, None),)
    assert test.observations[0].error is None and test.observations[0].margin is None
    odd = struct.pack("<4f", 1.0, math.nan, math.inf, -math.inf)
    assert Numbers((2, 2), odd).floats() == (1.0, None, None, None)


@pytest.mark.parametrize("size", [0, 3, 5])
def test_a_picture_has_as_many_bytes_as_its_shape_asks_for(size: int) -> None:
    for kind, whole in (("Numbers", 16), ("Shades", 4)):
        made = {"shape": [2, 2], "data": b64encode(b"\0" * (size * whole // 4)).decode()}
        made |= {"low": 0.0, "high": 1.0} if kind == "Shades" else {}
        with pytest.raises(msgspec.ValidationError, match="as many bytes"):
            msgspec.convert(made, Numbers if kind == "Numbers" else Shades)


def schema() -> dict[str, Any]:
    """The schema that the records stand for; every field is there in every file."""
    made = msgspec.json.schema(Scorecard)
    for record in made["$defs"].values():
        if "properties" in record:
            record["required"] = list(record["properties"])
    dialect = "https://json-schema.org/draft/2020-12/schema"
    head = {"$schema": dialect, "$id": f"urn:gradkata:scorecard:{FORMAT_VERSION}", "title": "Scorecard"}
    return {**head, "description": "What one run of the grader found.", **made}


def test_the_schema_in_the_package_is_that_of_the_records() -> None:
    """With GOLDEN=write in the environment the file is written instead; old readers want a new FORMAT_VERSION then."""
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("GOLDEN") == "write":
        SCHEMA.write_text(text, encoding="utf-8", newline="\n")
    assert SCHEMA.read_text(encoding="utf-8") == text


def validator() -> Draft202012Validator:
    found = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


GOLDEN = sorted(Path(__file__).with_name("golden").glob("*/scorecard.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_golden_scorecards_follow_the_schema(path: Path) -> None:
    validator().validate(json.loads(path.read_text(encoding="utf-8")))


def test_a_partial_scorecard_follows_the_schema_after_every_kata() -> None:
    ids, done = ["01_mlp", "04_lstm", "07_vae"], []
    for finished in range(len(ids) + 1):
        found = card(*done, unfinished=tuple(ids[finished:]))
        validator().validate(json.loads(reports.render("json", found)))
        assert found.score.max == 22.5
        if finished < len(ids):
            done.append(replace(grade(P, P, P, P, P, P), id=ids[finished]))


@pytest.mark.parametrize(
    "edit",
    [
        lambda found: found.update(extra=1),
        lambda found: found.pop("seed"),
        lambda found: found.update(format_version=3),
        lambda found: found["katas"][0].update(verdict="passed"),
        lambda found: found["katas"][0].update(points=-1),
        lambda found: found["katas"][0]["tests"][0].pop("cause"),
        lambda found: found["katas"][0]["tests"][0].update(pictures=[{"type": "film", "name": "a"}]),
        lambda found: found["katas"][0]["by_kind"]["shape"].update(passed=0.5),
    ],
)
def test_what_is_no_scorecard_is_against_the_schema(edit: Any) -> None:
    found = json.loads(reports.render("json", card(grade(P, P, P, P, P, F))))
    assert validator().is_valid(found)
    edit(found)
    assert not validator().is_valid(found)


def test_the_names_that_other_programs_rely_on() -> None:
    """The contract, in the words of the format's description: these names may gain company, and never go away."""
    found = json.loads(reports.render("json", card(grade(P, P, P, P, P, F))))
    kata, test = found["katas"][0], found["katas"][0]["tests"][0]
    top = {"format_version", "grader", "versions", "seed", "sandbox", "jobs", "seconds", "score", "katas"}
    assert top <= set(found) and found["format_version"] == 2
    assert set(found["score"]) == {"points", "max"}
    assert {"id", "verdict", "points", "max", "by_kind", "seconds", "from_store", "tests"} <= set(kata)
    assert set(kata["by_kind"]["shape"]) == {"points", "max", "passed", "total"}
    assert {"name", "kind", "title", "verdict", "points", "max", "seconds", "message"} <= set(test)
    assert {"cause", "output", "peak_memory_mb"} <= set(test) and test["cause"] is None
    assert set(msgspec.to_builtins(Cause())) == {"expected", "actual", "where", "help", "diagnosis", "diagnosis_zh"}
    words = {"pass", "fail", "todo", "error", "timeout", "crash", "memory", "forbidden", "internal", "not_run"}
    assert set(map(str, Verdict)) == words
