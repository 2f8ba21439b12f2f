"""Other arithmetic, `make arithmetic`: verdicts and diagnoses with other kernels of numpy's and torch's, and other threads.

A sum taken in another order ends in another last digit, and every processor has an order of its own. So the right solutions
and the mistakes of each kata are judged as if this machine were an older one, a newer one, or used two threads; and where a
test then has another verdict, or another mistake is named for it, that is told. `arithmetic.py 04 08` for some katas;
convergence tests are run on right solutions alone.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from grader import diagnosis
from grader.authoring.proving.bench import Bench, in_order
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.outcome import Outcome, Trial
from grader.authoring.proving.subject import Subject
from grader.course import find
from grader.diagnosis import Fingerprints
from grader.scorecard import TestResult, grade_kata
from grader.store import Store

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setting:
    """How a machine is made to reckon: what its libraries are told as they are loaded, and threads for each process."""

    environment: tuple[tuple[str, str], ...] = ()
    threads: int = 1

    @property
    def variables(self) -> dict[str, str]:
        count = str(self.threads)
        return dict(self.environment) | dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count
        )


def kernels(openblas: str, aten: str, mkl: str, onednn: str, numpy_without: str) -> tuple[tuple[str, str], ...]:
    """What each of the libraries is told, so that it uses the kernels that it has for such a processor."""
    found = {
        "OPENBLAS_CORETYPE": openblas,
        "ATEN_CPU_CAPABILITY": aten,
        "MKL_CBWR": mkl,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "NPY_DISABLE_CPU_FEATURES": numpy_without,
    }
    return tuple((name, value) for name, value in found.items() if value)


def settings() -> dict[str, Setting]:
    """What can be tried on this machine: first how it reckons by itself."""
    found = {"as it is": Setting(), "2 threads": Setting(threads=2)}
    config: Any = numpy.show_config(mode="dicts")
    faster = config["SIMD Extensions"].get("found", [])  # of this processor, beyond what numpy always uses
    if platform.machine() == "x86_64":
        found["SSE"] = Setting(kernels("Prescott", "default", "COMPATIBLE", "SSE41", " ".join(faster)))
        without = " ".join(name for name in faster if "512" in name or name == "X86_V4")
        found["AVX2, 2 threads"] = Setting(kernels("Haswell", "avx2", "AVX2", "AVX2", without), threads=2)
    else:
        found["plain kernels"] = Setting(kernels("ARMV8", "default", "", "", " ".join(faster)))
    return found


Said = dict[tuple[str, str], str]  # what became of each test of each case


def judged(subject: Subject, setting: Setting, bench: Bench) -> Said:
    """Every right solution on all tests, and every mistake on all but convergence: verdict and named mistakes.

    The bench must have the setting's variables.
    """
    quick = Evidence(subject, 1).quick
    cases = [case for case in subject.cases if case.right or case.role is Role.MISTAKE]
    trials = [Trial(case, threads=setting.threads, only=() if case.right else quick) for case in cases]
    known = diagnosis.load(subject.course, subject.kata)
    asked = in_order([(subject, trial) for trial in trials])
    said: Said = {}
    for (_, trial), outcome in zip(asked, bench.run(asked), strict=True):
        said |= {(str(trial.case), test): words for test, words in _said(subject, outcome, known).items()}
    return said


def _said(subject: Subject, outcome: Outcome, known: Fingerprints) -> dict[str, str]:
    """What a learner would be told of each test, in a few words."""
    if outcome.faults:
        return {"the suite": "; ".join(outcome.faults)}
    tests = [
        TestResult(
            name=ran.name, kind=subject.by_name[ran.name].kind, title="", verdict=ran.verdict, message=ran.message,
            said=ran.said, trace=ran.trace,
        )
        for ran in outcome.tests
    ]  # fmt: skip
    result = diagnosis.diagnosed(grade_kata(subject.kata, tests, seconds=0.0), known)
    return {test.name: _words(test, known) for test in result.tests}


def _words(test: TestResult, known: Fingerprints) -> str:
    told = test.cause.diagnosis if test.cause else ""
    named = [mistake.id for mistake in known.mistakes if mistake.says and mistake.says in told]
    return f"{test.verdict} ({' or '.join(named)})" if named else str(test.verdict)


def differences(first: Said, other: Said) -> Iterator[str]:
    """Every test of every case of which the two say something else."""
    for case, test in sorted(first.keys() | other.keys()):
        was, now = first.get((case, test), "nothing"), other.get((case, test), "nothing")
        if was != now:
            yield f"{case}, {test}: {now}; as it is: {was}"


def of_reference(said: Said) -> Iterator[str]:
    """The tests that right solutions do not pass."""
    for (case, test), words in sorted(said.items()):
        if (case == "the reference" or case.startswith("variant ")) and words != "pass":
            yield f"{case}, {test}: {words}"


def main(names: list[str]) -> int:
    course = find(ROOT, ROOT)
    subjects = [Subject(course, kata) for kata in course.select(names)]
    bad, first = 0, dict[str, Said]()
    for name, setting in settings().items():
        store = Store(ROOT, lambda text: print(text, file=sys.stderr))
        with (
            closing(store),
            closing(Bench(store, len(os.sched_getaffinity(0)), environment=setting.variables)) as bench,
        ):
            for subject in subjects:
                said = judged(subject, setting, bench)
                usual = first.setdefault(subject.id, said)
                lines = [*differences(usual, said), *of_reference(said)]
                print(f"{subject.id}, {name}: {len(said)} tests, {len(lines)} differ", flush=True)
                for line in lines:
                    print(f"  {line}", flush=True)
                bad += len(lines)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
