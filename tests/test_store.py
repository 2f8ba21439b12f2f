"""The store: what it gives back, and that no disk, lock or damage makes it fail."""

import os
import random
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grader import store as stores
from grader.kata import Kata
from grader.scorecard import KataResult, TestResult, Verdict, grade_kata, reject_kata
from grader.store import Attempt, Store, _digest, database, key, storable

KEPT_PER_KATA = 20
KATA = cast(Kata, SimpleNamespace(id="04_lstm", title="LSTM", tests=2, points={"value": 3.0}))
ONE, TWO = key({"stub": "1"}), key({"stub": "2"})


def result(verdict: Verdict = Verdict.PASS, **fields: object) -> KataResult:
    tests = [TestResult(name=name, kind="value", title=name, verdict=verdict, output="x" * 500) for name in ("a", "b")]
    return replace(grade_kata(KATA, tests, seconds=1.5, sha256="ab" * 32), **fields)


class Notices(list[str]):
    """What a store said, in English."""

    def append(self, said: object) -> None:
        super().append(str(said))


@pytest.fixture
def notices() -> list[str]:
    return Notices()


@pytest.fixture
def store(tmp_path: Path, notices: list[str]) -> Store:
    return Store(tmp_path, notices.append)


def file_of(root: Path) -> Path:
    return root / ".grade" / "store.sqlite"


def use(store: Store) -> list[object]:
    """Every method once."""
    store.on_good("a")
    store.put(ONE, result())
    return [store.get(ONE, KATA.id), store.attempts(KATA.id), store.last_seconds(), store.known_good("a")]


NOTHING = [None, [], {}, False]


def test_a_stored_result_comes_back_marked_as_such(store: Store, tmp_path: Path, notices: list[str]) -> None:
    assert store.get(ONE, KATA.id) is None
    store.put(ONE, result())
    assert store.get(ONE, KATA.id) == replace(result(), from_store=True)
    assert store.get(TWO, KATA.id) is None
    store.close()
    assert Store(tmp_path, notices.append).get(ONE, KATA.id) == replace(result(), from_store=True)
    assert notices == []
    assert (tmp_path / ".grade" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_would_be_found_again_is_stored(store: Store, notices: list[str], verdict: Verdict) -> None:
    again = {Verdict.PASS, Verdict.FAIL, Verdict.TODO, Verdict.ERROR, Verdict.FORBIDDEN}
    store.put(ONE, result(verdict))
    assert (store.get(ONE, KATA.id) is not None) == (verdict in again)
    assert [attempt.verdict for attempt in store.attempts(KATA.id)] == [verdict] * (verdict is not Verdict.INTERNAL)
    assert notices == [], "what is not found was not stored"


def test_one_timeout_behind_a_worse_verdict_keeps_a_result_out() -> None:
    tests = (*result(Verdict.FORBIDDEN).tests[:1], *result(Verdict.TIMEOUT).tests[1:])
    assert storable(result(Verdict.FORBIDDEN))
    assert not storable(result(Verdict.FORBIDDEN, tests=tests))
    assert not storable(reject_kata(KATA, Verdict.INTERNAL, []))


def test_attempts_are_kept_whole_and_results_to_the_newest(store: Store) -> None:
    keys = [key({"stub": str(i)}) for i in range(KEPT_PER_KATA + 5)]
    for i, each in enumerate(keys):
        store.put(each, result(seconds=float(i)))
    assert [attempt.seconds for attempt in store.attempts(KATA.id)] == list(map(float, range(len(keys))))
    assert [store.get(each, KATA.id) is not None for each in keys] == [False] * 5 + [True] * KEPT_PER_KATA
    attempt = store.attempts(KATA.id)[-1]
    assert (attempt.points, attempt.max, attempt.sha256) == (3.0, 3.0, "ab" * 32)
    assert store.attempts("07_vae") == []
    assert store.last_seconds() == {KATA.id: float(len(keys) - 1)}


def test_an_attempt_stays_what_it_was(store: Store) -> None:
    store.put(ONE, result())
    (attempt,) = store.attempts(KATA.id)
    with pytest.raises(AttributeError):
        attempt.points = 9.0  # type: ignore[misc]
    assert type(attempt) is Attempt


def test_a_result_of_every_verdict_that_recurs_is_stored() -> None:
    verdicts = (Verdict.PASS, Verdict.FAIL, Verdict.TODO, Verdict.ERROR, Verdict.FORBIDDEN)
    assert storable(result(Verdict.PASS, tests=tuple(result(each).tests[0] for each in verdicts)))


def test_what_would_not_be_stored_is_not_believed_either(store: Store, notices: list[str]) -> None:
    content = msgspec.json.encode(result(Verdict.TIMEOUT))
    row = (ONE, KATA.id, 0.0, content, "", _digest(ONE, content))
    store._rows("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)", *row)
    assert store.get(ONE, KATA.id) is None and "damaged" in notices[0]


def test_all_results_of_a_kata_are_there_newest_first(store: Store, tmp_path: Path, notices: list[str]) -> None:
    for number, verdict in enumerate((Verdict.PASS, Verdict.FAIL, Verdict.TODO)):
        store.put(f"{number}", result(verdict), ["seccomp"])
    store.put("other", result(id="05_gan"))
    store.put("unkept", result(Verdict.TIMEOUT))
    assert store.kept(KATA.id) == [result(each, from_store=True) for each in (Verdict.TODO, Verdict.FAIL, Verdict.PASS)]
    for number, damage in enumerate(("result = x'7b7d'", "digest = 'other'", "sandbox = 'none'")):
        edit(tmp_path, f"UPDATE results SET {damage} WHERE key = '{number}'")
        assert len(store.kept(KATA.id)) == 2 - number
    assert store.kept("no_such_kata") == [] and notices == []


def test_what_a_check_found_comes_back(store: Store, tmp_path: Path, notices: list[str]) -> None:
    assert store.known_check("a") is None
    store.put_check("a", KATA.id, b"1")
    store.put_check("b", KATA.id, b"2")
    store.put_check("a", KATA.id, b"3")
    assert (store.known_check("a"), store.known_check("b"), store.known_check("c")) == (b"3", b"2", None)
    for damage in ("x'31'", "'3'", "7"):
        edit(tmp_path, f"UPDATE checks SET result = {damage} WHERE key = 'a'")
        assert store.known_check("a") is None
    assert store.known_check("b") == b"2" and notices == []


def test_checks_are_kept_to_the_newest_of_each_kata(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stores.CHECKS_PER_KATA == 2000
    monkeypatch.setattr(stores, "CHECKS_PER_KATA", 3)
    for kata in ("a", "b"):
        for number in range(5):
            store.put_check(f"{kata}{number}", kata, b"x")
    store.prune_checks("a")
    left = [store.known_check(f"{kata}{number}") is not None for kata in "ab" for number in range(5)]
    assert left == [False, False, True, True, True] + [True] * 5


def test_manifests_known_to_be_good_are_remembered(store: Store) -> None:
    assert not store.known_good("a")
    store.on_good("a")
    store.on_good("a")
    assert store.known_good("a") and not store.known_good("b")


PARTS = st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.binary(max_size=4), max_size=4)


@given(PARTS, PARTS)
def test_a_key_is_that_of_its_parts_alone(one: dict[str, str | bytes], two: dict[str, str | bytes]) -> None:
    def raw(parts: dict[str, str | bytes]) -> dict[str, bytes]:
        return {name: part.encode() if isinstance(part, str) else part for name, part in parts.items()}

    assert (key(one) == key(two)) == (raw(one) == raw(two))
    assert key(dict(reversed(one.items()))) == key(one)


def test_a_key_tells_apart_what_runs_together() -> None:
    parts = [
        {"a": "bc"},
        {"ab": "c"},
        {"a": "b", "c": ""},
        {"a": "", "bc": ""},
        {"a": "b", "c": "d"},
        {"a": "b1:c"},
        {},
    ]
    assert len(set(map(key, parts))) == len(parts)
    assert key({"a": "\ud800"}) != key({"a": ""})


def edit(root: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(file_of(root)) as connection:
        connection.execute(statement, values)
    connection.close()


ROWS: dict[str, Callable[[bytes], object]] = {
    "no JSON": lambda row: row[:-40],
    "more points": lambda row: row.replace(b'"points":3.0', b'"points":9.0'),
    "an unknown field": lambda row: row[:-1] + b',"x":1}',
    "an unknown verdict": lambda row: row.replace(b'"verdict":"pass"', b'"verdict":"fine"'),
    "not bytes": lambda row: 7,
    "text": lambda row: row.decode(),
}


@pytest.mark.parametrize("damage", ROWS.values(), ids=ROWS)
def test_a_damaged_row_is_set_aside_and_replaced(
    store: Store, tmp_path: Path, notices: list[str], damage: Callable[[bytes], object]
) -> None:
    store.put(ONE, result())
    edit(tmp_path, "UPDATE results SET result = ?", damage(msgspec.json.encode(result())))
    assert store.get(ONE, KATA.id) is None
    assert notices == ["the stored result of 04_lstm is damaged: it is set aside, and the kata judged anew"]
    assert store.get(ONE, KATA.id) is None and len(notices) == 1, "it is told once"
    store.put(ONE, result())
    assert store.get(ONE, KATA.id) is not None
    assert len(store.attempts(KATA.id)) == 2
    with sqlite3.connect(file_of(tmp_path)) as connection:
        assert connection.execute("SELECT key FROM set_aside").fetchall() == [(ONE,)]
    connection.close()
    assert len(notices) == 1


def test_text_that_is_none_is_damage_of_its_row_alone(store: Store, tmp_path: Path, notices: list[str]) -> None:
    store.put(ONE, result())
    store.put(TWO, result())
    edit(tmp_path, "UPDATE results SET sandbox = CAST(x'ff' AS TEXT) WHERE key = ?", ONE)
    assert store.get(ONE, KATA.id) is None and store.get(TWO, KATA.id) is not None
    assert notices == ["the stored result of 04_lstm is damaged: it is set aside, and the kata judged anew"]


def test_the_row_of_another_kata_or_key_is_not_believed(store: Store, tmp_path: Path, notices: list[str]) -> None:
    store.put(ONE, result())
    edit(tmp_path, "UPDATE results SET key = ?", TWO)
    assert store.get(TWO, KATA.id) is None
    store.put(TWO, result())
    assert store.get(TWO, "07_vae") is None
    assert len(notices) == 2


FILES: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_text("hello " * 1000),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:6000]),
    "a table is gone": lambda path: edit(path.parents[1], "DROP TABLE results"),
    "other tables": lambda path: (path.unlink(), edit(path.parents[1], "CREATE TABLE results (x)")),
    "attempts of another kind": lambda path: edit(path.parents[1], "UPDATE attempts SET seconds = 'long'"),
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
def test_a_damaged_file_is_kept_aside_and_begun_anew(
    store: Store, tmp_path: Path, notices: list[str], damage: Callable[[Path], object]
) -> None:
    use(store)
    store.close()
    damage(file_of(tmp_path))
    again = Store(tmp_path, notices.append)
    use(again)
    found, attempts, seconds, known = use(again)
    assert found == replace(result(), from_store=True) and attempts and seconds == {KATA.id: 1.5} and known
    assert len(notices) == 1 and "it is kept as store.bad.sqlite, and begun anew" in notices[0]
    assert file_of(tmp_path).with_name("store.bad.sqlite").exists()


def test_the_journal_of_a_damaged_file_is_not_played_into_the_new_one(tmp_path: Path, notices: list[str]) -> None:
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_text("no database " * 100)
    journal = file_of(tmp_path).with_name("store.sqlite-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\x01" * 600)
    assert use(Store(tmp_path, notices.append)) != NOTHING
    assert file_of(tmp_path).with_name("store.bad.sqlite-journal").exists() or not journal.exists()


def test_a_journal_goes_with_its_file(tmp_path: Path, notices: list[str]) -> None:
    store = Store(tmp_path, notices.append)
    use(store)
    journal = file_of(tmp_path).with_name("store.sqlite-journal")
    journal.write_bytes(b"what was to be undone")
    store._database._set_aside()
    assert file_of(tmp_path).with_name("store.bad.sqlite-journal").read_bytes() == b"what was to be undone"
    assert not journal.exists() and not file_of(tmp_path).exists()


def test_whatever_bytes_are_flipped_nothing_is_raised(tmp_path: Path) -> None:
    random.seed(5)
    store = Store(tmp_path, lambda text: None)
    use(store)
    store.close()
    whole = file_of(tmp_path).read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(random.choice([1, 4, 400])):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        file_of(tmp_path).write_bytes(damaged)
        notices: list[str] = []
        flipped = Store(tmp_path, notices.append)
        found = flipped.get(ONE, KATA.id)
        assert found in (None, replace(result(), from_store=True))
        use(flipped)
        flipped.close()
        assert len(notices) <= 3


def test_a_newer_graders_file_is_left_alone(store: Store, tmp_path: Path, notices: list[str]) -> None:
    store.put(ONE, result())
    store.close()
    edit(tmp_path, "PRAGMA user_version = 99")
    before = file_of(tmp_path).read_bytes()
    assert use(Store(tmp_path, notices.append)) == NOTHING
    assert file_of(tmp_path).read_bytes() == before
    assert len(notices) == 1 and "made by a newer grader" in notices[0]


def test_an_older_file_is_brought_up_and_keeps_what_it_has(tmp_path: Path, notices: list[str]) -> None:
    path = tmp_path / ".grade" / "a.sqlite"
    old = database.Database(path, ["CREATE TABLE a (x)"], notices.append)
    old.attempt(lambda: old.sql("INSERT INTO a VALUES (1)"), [])
    old.close()
    new = database.Database(path, ["CREATE TABLE a (x)", "ALTER TABLE a ADD y; UPDATE a SET y = 2"], notices.append)
    assert new.attempt(lambda: new.sql("SELECT * FROM a"), []) == [(1, 2)]
    assert notices == []


def test_a_failed_migration_leaves_no_trace(tmp_path: Path, notices: list[str]) -> None:
    path = tmp_path / ".grade" / "a.sqlite"
    old = database.Database(path, ["CREATE TABLE a (x)"], notices.append)
    old.attempt(lambda: old.sql("INSERT INTO a VALUES (1)"), [])
    old.close()
    with pytest.raises(ZeroDivisionError):
        old.attempt(lambda: within(old), None)
    assert old.sql("SELECT * FROM a") == [(1,)], "at once"
    old.close()
    assert old.attempt(lambda: old.sql("SELECT * FROM a"), []) == [(1,)]


def within(old: database.Database) -> None:
    with old.transaction():
        old.sql("DELETE FROM a")
        raise ZeroDivisionError


PLACES: dict[str, Callable[[Path], Path]] = {
    "a course that is a file": lambda root: root / "file",
    "a course that is gone": lambda root: root / "gone",
    "/proc, where nothing can be made": lambda root: Path("/proc"),
    "a .grade that is a file": lambda root: root / "course",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_place_that_cannot_be_written_costs_one_notice(
    tmp_path: Path, notices: list[str], place: Callable[[Path], Path]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / ".grade").touch()
    store = Store(place(tmp_path), notices.append)
    assert use(store) == NOTHING
    assert use(store) == NOTHING
    assert len(notices) == 1 and notices[0].startswith("results are not kept in ")


def test_a_read_only_file_still_gives_what_it_has(
    tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, notices.append)
    use(store)
    store.close()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **how: connect(f"file:{path}?mode=ro", uri=True, **how))
    locked = Store(tmp_path, notices.append)
    assert locked.get(ONE, KATA.id) == replace(result(), from_store=True)
    assert locked.known_good("a") and notices == []
    locked.put(TWO, result())
    assert locked.get(TWO, KATA.id) is None
    assert len(notices) == 1 and "readonly" in notices[0]


CHILD = """
import sys, resource
sys.path[:0] = [{tests!r}]
from pathlib import Path
from test_store import ONE, NOTHING, Store, use
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
store = Store(Path(sys.argv[1]), lambda text: print("notice:", text))
use(store); use(store); store.close()
print("done")
"""


@pytest.mark.parametrize("limit", [0, 1, 4096, 20_000])
def test_a_full_disk_costs_one_notice_and_no_history(tmp_path: Path, notices: list[str], limit: int) -> None:
    if limit == 20_000:
        whole = Store(tmp_path, notices.append)
        for i in range(30):
            whole.put(str(i), result())
        whole.close()
    program = CHILD.format(tests=str(Path(__file__).parent), limit=limit)
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.stdout.splitlines()[-1:] == ["done"], run.stderr
    assert run.stdout.count("notice:") == 1
    after = Store(tmp_path, notices.append)
    assert len(after.attempts(KATA.id)) == (30 if limit == 20_000 else 0)
    assert use(after) != NOTHING and notices == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit


def test_a_lock_that_stays_costs_one_notice(
    store: Store, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    use(store)
    store.close()
    other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert use(store) == NOTHING
    other.execute("ROLLBACK")
    other.close()
    assert len(notices) == 1 and "locked" in notices[0]


CODES = {
    sqlite3.SQLITE_CORRUPT: True,
    sqlite3.SQLITE_CORRUPT_INDEX: True,
    sqlite3.SQLITE_NOTADB: True,
    sqlite3.SQLITE_ERROR: True,
    sqlite3.SQLITE_BUSY: False,
    sqlite3.SQLITE_READONLY: False,
    sqlite3.SQLITE_IOERR: False,
    sqlite3.SQLITE_FULL: False,
    sqlite3.SQLITE_CANTOPEN: False,
}


@pytest.mark.parametrize("code", CODES)
def test_only_damage_is_set_aside(tmp_path: Path, notices: list[str], code: int) -> None:
    store = Store(tmp_path, notices.append)
    store.on_good("a")
    error = sqlite3.OperationalError("so it is")
    error.sqlite_errorcode = code

    tried: list[int] = []

    def fails_once() -> str:
        tried.append(1)
        if not notices:
            raise error
        return "mended"

    mended = CODES[code]
    assert store._attempt(fails_once, "nothing") == ("mended" if mended else "nothing")
    assert len(notices) == 1 and ("is damaged" in notices[0]) == mended and len(tried) == (2 if mended else 1)
    assert file_of(tmp_path).with_name("store.bad.sqlite").exists() == mended


def test_damage_that_a_new_file_has_too_is_the_end(tmp_path: Path, notices: list[str]) -> None:
    def fails() -> None:
        error = sqlite3.DatabaseError("so it is")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    store = Store(tmp_path, notices.append)
    assert store._attempt(fails, None) is None
    assert len(notices) == 2 and "is damaged" in notices[0] and "results are not kept in " in notices[1]
    assert use(store) == NOTHING and len(notices) == 2


def test_what_cannot_be_set_aside_costs_one_notice(
    tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def refuse(*places: object) -> None:
        raise PermissionError("no")

    def fails() -> None:
        tried.append(1)
        error = sqlite3.DatabaseError("so it is")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(os, "replace", refuse)
    store = Store(tmp_path, notices.append)
    assert store._attempt(fails, None) is None and tried == [1], "nor is it tried again"
    assert use(store) == NOTHING
    assert len(notices) == 1 and notices[0].startswith("results are not kept in ")


WRITER = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from test_store import Store, key, result
store = Store(Path(sys.argv[1]), print)
for i in range(20):
    name = key({{"stub": sys.argv[2] + str(i)}})
    store.put(name, result(id=sys.argv[2]))
    assert store.get(name, sys.argv[2])
"""


def test_two_at_once_from_the_very_start_lose_nothing(tmp_path: Path, notices: list[str]) -> None:
    command = [sys.executable, "-c", WRITER.format(tests=str(Path(__file__).parent)), str(tmp_path)]
    whole = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    started = [subprocess.Popen([*command, name], **whole) for name in "abc"]
    assert [(run.communicate(timeout=60)[0], run.returncode) for run in started] == [(b"", 0)] * 3
    store = Store(tmp_path, notices.append)
    assert [len(store.attempts(name)) for name in "abc"] == [20] * 3
    assert notices == []


def test_a_file_that_another_grade_has_set_aside_is_let_go(tmp_path: Path, notices: list[str]) -> None:
    ours, theirs = Store(tmp_path, notices.append), Store(tmp_path, notices.append)
    use(ours)
    os.replace(file_of(tmp_path), tmp_path / "aside")
    use(theirs)
    use(ours)
    assert [len(each.attempts(KATA.id)) for each in (ours, theirs)] == [2, 2]
    assert notices == []


def test_a_new_file_is_not_set_aside_for_the_damage_of_the_old(tmp_path: Path, notices: list[str]) -> None:
    ours, theirs = Store(tmp_path, notices.append), Store(tmp_path, notices.append)
    use(ours)
    os.replace(file_of(tmp_path), tmp_path / "aside")
    use(theirs)
    with sqlite3.connect(tmp_path / "aside") as connection:
        connection.execute("DROP TABLE attempts")
    connection.close()
    assert len(ours.attempts(KATA.id)) == 1
    assert notices == [] and not file_of(tmp_path).with_name("store.bad.sqlite").exists()


# The sandbox in which a result was judged


def test_a_result_is_answered_where_its_sandbox_is_accepted(store: Store) -> None:
    store.put(ONE, result(), {"seccomp", "rlimits"})
    asked: list[frozenset[str]] = []
    assert store.get(ONE, KATA.id, lambda layers: bool(asked.append(layers))) is None
    assert asked == [frozenset({"seccomp", "rlimits"})]
    assert store.get(ONE, KATA.id, lambda layers: True) is not None


def test_a_sandbox_that_somebody_made_stronger_is_damage(store: Store, tmp_path: Path, notices: list[str]) -> None:
    store.put(ONE, result(), {"rlimits"})
    store._sql("UPDATE results SET sandbox = 'rlimits,seccomp'")
    assert store.get(ONE, KATA.id) is None and "damaged" in notices[0]


def test_what_is_not_to_be_kept_is_an_attempt_only(store: Store) -> None:
    store.put(ONE, result(), keep=False)
    assert store.get(ONE, KATA.id) is None and len(store.attempts(KATA.id)) == 1
