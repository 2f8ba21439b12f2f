"""A ladder that one command holds and another uses: with two processes, whatever becomes of either, and whoever asks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from grader.course import find
from grader.engine import borrowed, key, shared, terms
from grader.engine.borrowed import BorrowedLadder, borrowing, holders
from grader.engine.hold import Ladder, wait
from grader.engine.keeper import Keeper
from grader.engine.plan import Plan
from grader.engine.terms import Hello, Reach
from grader.errors import InternalFault
from grader.scorecard import KataResult, Verdict
from grader.session import Session
from grader.store import Store

TOY = Path(__file__).parent / "toy"
HOLDER = [sys.executable, str(Path(__file__).parent / "holder.py")]
GRADE = str(Path(sys.executable).with_name("grade"))
NUMPY = Plan(frozenset(["numpy"]), frozenset(["numpy"]))
BUSY = """    # in the first test only, and not for ever
    import time

    while x.shape == (2, 3) and time.process_time() < 1.5:
        pass
"""
Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The toy course, in which somebody has solved the first kata."""
    root = tmp_path / "course"
    shutil.copytree(TOY, root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    shutil.copy(root / "reference/01_scale/scale.py", root / "katas/01_scale/scale.py")
    return root


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts processes that offer a ladder, and ends them."""
    started = []

    def start(root: Path, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([*HOLDER, str(root), *words], text=True, stdin=pipe, stdout=pipe)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "offered\n"
        return process

    yield start
    for process in started:
        with suppress(OSError):
            process.send_signal(signal.SIGCONT)
        process.communicate()


@pytest.fixture
def session(root: Path) -> Iterator[Session]:
    """What `grade` makes: a session that borrows where it can."""
    course = find(root, root)
    made = Session(course, Store(root, lambda said: None), keeper=Keeper(borrow=borrowing(root)))
    yield made
    made.close()


def judged(session: Session) -> KataResult:
    """The first kata, judged and not from the store."""
    return session.grade(session.course.select(["scale"]), fresh=True).katas[0]


def sockets(root: Path) -> list[str]:
    return os.listdir(root / ".grade" / terms.FOLDER)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def stop(process: subprocess.Popen[str]) -> None:
    """Stop it, and return once it is."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


def asked(root: Path, plan: Plan = NUMPY) -> Hello:
    return Hello(terms.terms(root, {}), Reach.of(plan), False)


# Two processes


def test_a_run_gets_its_judges_from_another_command_and_finds_the_same(
    root: Path, hold: Hold, session: Session
) -> None:
    holder = hold(root)
    result, ladder = judged(session), session.keeper.current
    assert isinstance(ladder, BorrowedLadder) and ladder.holder.pid == holder.pid
    own = Session(session.course, session.store)
    with closing(own.keeper):
        same = judged(own)
        assert isinstance(own.keeper.current, Ladder)
        assert vars(ladder.sandbox) == vars(own.keeper.current.sandbox) and ladder.sandbox.text
    assert (result.verdict, result.points) == (Verdict.PASS, same.points)
    assert [test.name for test in result.tests] == [test.name for test in same.tests]


def test_a_holder_grows_its_ladder_and_keeps_the_one_that_is_lent_as_long_as_it_is(root: Path, hold: Hold) -> None:
    hold(root, "warm")
    small, large = borrowing(root)(NUMPY), borrowing(root)(Plan(NUMPY.workers, frozenset(["json"])))
    assert small is not None and large is not None
    with closing(small), closing(large):
        for ladder in (small, large, small):
            wait(ladder)
            line, leash = ladder.judge(NUMPY)
            assert leash.pid()
            leash.close()
            line.close()
        assert not small.plan.covers(large.plan) and large.plan.covers(small.plan)


@pytest.mark.parametrize("without", ["", "namespaces"], ids=["with namespaces", "without"])
def test_the_command_borrows_and_a_holder_that_is_killed_meanwhile_costs_nobody_anything(
    root: Path, hold: Hold, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADKATA_TEST_WITHOUT", without)
    source = root / "katas/01_scale/scale.py"
    source.write_text(source.read_text().replace("    # BEGIN SOLUTION: one multiplication\n", BUSY))
    manifest = root / "katas/01_scale/kata.toml"
    manifest.write_text(manifest.read_text().replace("seconds = 2.0", "seconds = 600.0"))
    holder = hold(root, "warm")
    pipe = subprocess.PIPE
    process = subprocess.Popen([GRADE, "run", "1", "--report", "json"], cwd=root, text=True, stdout=pipe, stderr=pipe)
    while not _workers_of(holder.pid):
        assert process.poll() is None, "it did not borrow"
    assert not _children(process.pid)
    kill(holder)
    card = json.loads(process.communicate()[0])
    (kata,) = card["katas"]
    assert (process.returncode, kata["verdict"], kata["points"]) == (0, "pass", kata["max"])
    assert len(kata["tests"]) == 4 and card["complete"] is True
    assert sockets(root) == [] or not holders(root)


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


def _workers_of(pid: int) -> list[int]:
    """Processes below this one that have used much processor time in the root folder, to which workers change."""
    found, below = [], [pid]
    while below:
        for child in _children(below.pop()):
            below.append(child)
            with suppress(OSError):
                ticks = int((Path("/proc", str(child)) / "stat").read_text().rpartition(")")[2].split()[11])
                if os.readlink(f"/proc/{child}/cwd") == "/" and ticks > 20:
                    found.append(child)
    return found


def test_a_session_outlives_the_ladder_that_it_borrowed(root: Path, hold: Hold, session: Session) -> None:
    holder = hold(root, "warm")
    assert judged(session).verdict is Verdict.PASS
    assert session.keeper.current is not None and session.keeper.current.borrowed
    kill(holder)
    assert judged(session).verdict is Verdict.PASS
    assert isinstance(session.keeper.current, Ladder)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "LENDER_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_holder_that_is_stopped_is_waited_for_no_longer_than_a_moment(
    root: Path, hold: Hold, session: Session
) -> None:
    stop(hold(root, "warm"))
    assert judged(session).verdict is Verdict.PASS
    assert isinstance(session.keeper.current, Ladder)


def test_a_holder_that_is_stopped_later_is_left_too(
    root: Path, hold: Hold, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(root, "warm")
    assert judged(session).verdict is Verdict.PASS
    ladder = session.keeper.current
    assert isinstance(ladder, BorrowedLadder)
    stop(holder)
    ladder._holder.settimeout(0.2)
    assert judged(session).verdict is Verdict.PASS
    assert isinstance(session.keeper.current, Ladder)


def test_what_fails_on_a_borrowed_ladder_leaves_both_tries_on_our_own(
    root: Path, hold: Hold, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_after = [hold(root, "warm")]
    judge = Ladder.judge

    def once(ladder: Ladder, plan: Plan) -> object:
        line, leash = judge(ladder, plan)
        if kill_after:
            kill_after.clear()
            leash.kill()
        return line, leash

    assert judged(session).verdict is Verdict.PASS
    kill(kill_after[0])
    monkeypatch.setattr(Ladder, "judge", once)
    assert judged(session).verdict is Verdict.PASS and not kill_after


def test_of_two_holders_one_is_enough(root: Path, hold: Hold, session: Session) -> None:
    both = {holder.pid: holder for holder in (hold(root, "warm"), hold(root, "warm"))}
    assert {holder.pid for holder in holders(root)} == set(both) and len(sockets(root)) == 2
    judged(session)
    assert isinstance(session.keeper.current, BorrowedLadder)
    kill(both.pop(session.keeper.current.holder.pid))
    with closing(Keeper(borrow=borrowing(root))) as keeper:
        ladder = keeper.reaching(NUMPY, NUMPY)
        assert isinstance(ladder, BorrowedLadder) and [ladder.holder.pid] == list(both)
    assert len(sockets(root)) == 1  # that of the one who was killed was in the way of nobody, and is gone


def test_one_who_holds_a_ladder_is_preferred_to_one_who_would_have_to_start_it(
    root: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = {hold(root).pid for _ in range(2)}
    before = sockets(root)
    warm = hold(root, "warm").pid
    monkeypatch.setattr(
        borrowed, "sorted", lambda names: sorted(names, key=lambda name: name not in before), raising=False
    )
    assert [(each.pid in cold, each.lends) for each in holders(root)] == [(True, False), (True, False), (False, True)]
    ladder = borrowing(root)(NUMPY)
    assert isinstance(ladder, BorrowedLadder) and ladder.holder.pid == warm
    ladder.close()


def test_an_offer_ends_with_its_block_and_leaves_nothing(root: Path, hold: Hold, session: Session) -> None:
    holder = hold(root, "warm")
    assert judged(session).verdict is Verdict.PASS
    holder.communicate()
    assert sockets(root) == [] and holder.returncode == 0
    assert judged(session).verdict is Verdict.PASS


def test_a_course_may_lie_as_deep_as_it_likes(tmp_path: Path, root: Path, hold: Hold) -> None:
    deep = tmp_path.joinpath(*["a" * 60] * 4, "course")
    shutil.copytree(root, deep)
    holder = hold(deep, "warm")
    assert [found.pid for found in holders(deep)] == [holder.pid]


# On what terms


def test_a_holder_of_other_libraries_or_another_environment_lends_nothing(
    root: Path, hold: Hold, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(root, "warm", "click")
    assert [(found.lends, found.differ) for found in holders(root)] == [(False, ("libraries",))]
    monkeypatch.setenv("GRADKATA_TEST_WITHOUT", "namespaces")
    assert [found.differ for found in holders(root)] == [("environment", "libraries")]
    assert judged(session).verdict is Verdict.PASS and isinstance(session.keeper.current, Ladder)


def test_each_of_the_terms_is_one(root: Path, offer: shared.Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = terms.terms(root, {})
    assert set(ours) >= {"grader", "libraries", "interpreter", "environment", "course", "namespaces"}
    for name in ours:
        monkeypatch.setattr(terms, "terms", lambda root, more, *, anew=False, name=name: {**ours, name: "another"})
        assert offer._differences(Hello(ours, Reach.of(NUMPY), False)) == (name,)
        monkeypatch.undo()


def test_where_a_judge_looks_for_programs_is_no_matter(root: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(root, "warm")
    monkeypatch.setenv("PATH", "/nowhere")
    assert [found.lends for found in holders(root)] == [True]


@pytest.fixture
def offer(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[shared.Offer]:
    """An offer of this very process, which here is asked as if it were another."""
    with closing(Keeper()) as keeper:
        made = shared.Offer(keeper, root, "here")
        monkeypatch.setattr(borrowed.os, "getpid", lambda: 0)
        yield made
        made.close()


def test_a_grader_that_was_changed_since_is_shared_with_nobody(
    root: Path, offer: shared.Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [found.differ for found in holders(root)] == [()]
    digest = key.grader_digest
    monkeypatch.setattr(key, "grader_digest", lambda *, anew=False: "changed" if anew else digest())
    assert [found.differ for found in holders(root)] == [("grader",)]  # for one who is as old
    monkeypatch.setattr(key, "grader_digest", lambda *, anew=False: "changed")
    assert [found.differ for found in holders(root)] == [("grader",)]  # and for one who is new


def test_what_is_borrowed_is_not_lent_on_and_nobody_asks_himself(root: Path, hold: Hold) -> None:
    hold(root, "warm")
    with closing(Keeper(borrow=borrowing(root))) as keeper:
        assert keeper.reaching(NUMPY, NUMPY).borrowed
        assert keeper.lend(NUMPY, start=True) is None
    with closing(Keeper()) as keeper, shared.offered(keeper, root):
        assert len(sockets(root)) == 2 and len(holders(root)) == 1


def test_a_lender_starts_a_ladder_of_its_own_and_takes_it_down_when_all_have_given_it_back() -> None:
    def never(plan: Plan) -> None:
        raise AssertionError("it borrowed to lend")

    with closing(Keeper(borrow=never)) as keeper:
        assert keeper.lend(NUMPY, start=False) is None
        first = keeper.lend(NUMPY, start=True)
        assert first is not None and keeper.lend(NUMPY, start=True) is first
        second = keeper.lend(Plan(NUMPY.workers, frozenset(["json"])), start=True)
        assert second is not None and second is not first
        keeper.give_back(first)
        wait(first)  # still lent once
        keeper.give_back(first)
        assert first._process.poll() is not None and second._process.poll() is None


def test_a_run_that_nobody_may_foretell_has_a_ladder_of_its_own(root: Path, hold: Hold) -> None:
    """Seen by the processes that it starts: a borrower starts none."""
    hold(root, "warm")
    program = (
        "import subprocess, sys; from grader.cli import main; started = []; popen = subprocess.Popen.__init__\n"
        "def init(self, *a, **k): started.append(1); popen(self, *a, **k)\n"
        "subprocess.Popen.__init__ = init\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: sys.exit(len(started))"
    )

    def started(*words: str) -> int:
        asked = [sys.executable, "-c", program, "run", "1", "--fresh", "--course", str(root), *words]
        return subprocess.run(asked, capture_output=True, check=False).returncode

    assert (started(), started("--seed", "secret")) == (0, 1)


# Who asks


def speak(root: Path, offer: shared.Offer, data: bytes) -> bytes:
    """What the offer answers to bytes; nothing where it hangs up."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as peer:
        peer.connect(terms.address(offer._folder, offer._name))
        with suppress(ConnectionResetError, BrokenPipeError):  # it may hang up before anything is said to it
            peer.send(data)
            return peer.recv(1 << 16)
        return b""


def test_whoever_says_something_else_is_hung_up_on_and_the_next_is_served(root: Path, offer: shared.Offer) -> None:
    for data in (b"\xff", b"{}", b'{"type": "wanted"}', b'{"type": "hello", "terms": 1}', b"x" * 5000):
        assert speak(root, offer, data) == b""
    assert [found.by for found in holders(root)] == ["here"]


def test_another_user_is_told_nothing_and_given_nothing(
    root: Path, offer: shared.Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)  # as those see it who are another
    assert speak(root, offer, terms.msgspec.json.encode(asked(root))) == b""
    with pytest.raises(PermissionError):
        terms.open_folder(root)
    assert holders(root) == [] and not terms.is_own_socket(offer._folder, offer._name)


def test_a_holder_of_another_user_is_not_believed(
    root: Path, offer: shared.Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offer's own threads see who asks as he is."""
    peer_of, here = terms.peer_of, threading.current_thread()
    other = (1, os.geteuid() + 1)
    monkeypatch.setattr(terms, "peer_of", lambda peer: other if threading.current_thread() is here else peer_of(peer))
    assert holders(root) == []
    monkeypatch.undo()
    monkeypatch.setattr(borrowed.os, "getpid", lambda: 0)
    assert len(holders(root)) == 1


def test_the_kernel_keeps_others_from_the_socket_too(root: Path, offer: shared.Offer) -> None:
    folder = root / ".grade" / terms.FOLDER
    found = folder / offer._name
    assert (folder.stat().st_mode & 0o777, found.stat().st_mode & 0o777) == (0o700, 0o600)
    program = f"""
import os, socket, sys
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
else:
    os.chmod({str(found)!r}, 0)
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    peer.connect("/proc/self/fd/{offer._folder}/{offer._name}")
except PermissionError:
    sys.exit(7)
"""
    tried = subprocess.run([sys.executable, "-c", program], pass_fds=[offer._folder], check=False)
    assert tried.returncode == 7


def test_a_judged_file_reaches_neither_the_socket_nor_the_folder(root: Path, hold: Hold, session: Session) -> None:
    hold(root, "warm")
    folder = root / ".grade" / terms.FOLDER
    attempts = {
        "lists": f"os.listdir({str(folder)!r})",
        "makes a socket": "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)",
        "opens": f"os.open({str(folder)!r}, os.O_RDONLY)",
    }
    tried = "".join(
        f"    try:\n        {what}\n        said.append({name!r})\n    except PermissionError:\n        pass\n"
        for name, what in attempts.items()
    )
    source = root / "katas/01_scale/scale.py"
    source.write_text(
        "import os, socket\n"
        + source.read_text().replace(
            "    # BEGIN SOLUTION: one multiplication\n",
            f"    said = []\n{tried}    if said:\n        raise RuntimeError(said)\n",
        )
    )
    assert judged(session).verdict is Verdict.PASS
    assert isinstance(session.keeper.current, BorrowedLadder)


# What is planted


def test_no_link_is_followed_to_a_ladder(root: Path, tmp_path: Path, hold: Hold) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root, elsewhere)
    hold(elsewhere, "warm")
    folder = root / ".grade" / terms.FOLDER
    (root / ".grade").symlink_to(elsewhere / ".grade")
    assert shared._open(Keeper(), root, "") is None and holders(root) == []
    (root / ".grade").unlink()
    (root / ".grade").mkdir()
    folder.symlink_to(elsewhere / ".grade" / terms.FOLDER)
    assert shared._open(Keeper(), root, "") is None and holders(root) == []
    folder.unlink()
    folder.mkdir(0o700)
    (name,) = sockets(elsewhere)
    (folder / name).symlink_to(elsewhere / ".grade" / terms.FOLDER / name)
    assert terms.open_folder(root) and holders(root) == []


def test_a_folder_that_others_may_enter_is_as_good_as_none(root: Path, offer: shared.Offer) -> None:
    folder = root / ".grade" / terms.FOLDER
    assert len(holders(root)) == 1
    folder.chmod(0o710)
    assert holders(root) == []


def test_where_nothing_can_be_offered_the_block_runs_all_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".grade").write_text("a file\n")
    with closing(Keeper()) as keeper, shared.offered(keeper, root):
        assert holders(root) == [] and (root / ".grade").read_text() == "a file\n"
    (root / ".grade").unlink()
    monkeypatch.setenv("GRADKATA_START", "fresh")
    with closing(Keeper()) as keeper, shared.offered(keeper, root):
        assert not (root / ".grade").exists()


def test_an_offer_can_end_while_somebody_waits_for_its_ladder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed.os, "getpid", lambda: 0)
    with closing(Keeper()) as keeper:
        with shared.offered(keeper, root):
            ladder = borrowing(root)(NUMPY)
        assert isinstance(ladder, BorrowedLadder) and sockets(root) == []
        with closing(ladder), pytest.raises(InternalFault, match="shared is gone"):
            wait(ladder)


def test_no_ladder_goes_from_under_an_engine_because_a_borrower_went() -> None:
    with closing(Keeper()) as keeper:
        with keeper.at_work():
            engines = keeper.reaching(NUMPY, NUMPY)
            assert keeper.lend(NUMPY, start=True) is engines and isinstance(engines, Ladder)
            larger = keeper.lend(Plan(NUMPY.workers, frozenset(["json"])), start=True)
            assert larger is keeper.current and larger is not engines
            keeper.give_back(engines)
            assert engines._process.poll() is None
        assert engines._process.poll() is not None


def test_doctor_says_who_shares_a_ladder(root: Path, hold: Hold) -> None:
    holder = hold(root, "warm")
    hold(root, "click")
    said = subprocess.run([GRADE, "doctor", "--lang", "en"], cwd=root, capture_output=True, text=True, check=False)
    rows = [line for line in said.stdout.splitlines() if line.startswith("warm ")]
    assert f"warm          the ladder is shared by `grade watch` (process {holder.pid})" in rows
    assert any(row.endswith("which differs in the versions of libraries") for row in rows) and len(rows) == 2
