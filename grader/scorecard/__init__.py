"""What a run found, and what it is worth."""

from grader.scorecard.grading import SEVERITY, exit_code, grade_kata, most, reject_kata, total
from grader.scorecard.records import (
    FORMAT_VERSION,
    Cause,
    Curve,
    Image,
    Images,
    KataResult,
    KindScore,
    Line,
    Matrix,
    Observation,
    Picture,
    Score,
    Scorecard,
    TestResult,
    Text,
    Verdict,
)
from grader.scorecard.visible import visible

__all__ = [
    "FORMAT_VERSION",
    "SEVERITY",
    "Cause",
    "Curve",
    "Image",
    "Images",
    "KataResult",
    "KindScore",
    "Line",
    "Matrix",
    "Observation",
    "Picture",
    "Score",
    "Scorecard",
    "TestResult",
    "Text",
    "Verdict",
    "exit_code",
    "grade_kata",
    "most",
    "reject_kata",
    "total",
    "visible",
]
