"""What an engine tells of its tasks."""

from __future__ import annotations

from dataclasses import dataclass

from grader.engine.task import Task
from grader.judge.job import Event as Said
from grader.messages import Message


@dataclass(frozen=True)
class Heard:
    """A judge said something about the task."""

    task: Task
    said: Said


@dataclass(frozen=True)
class Again:
    """Something on our side died: all that was heard of the task is void, and it is judged once more."""

    task: Task
    why: Message


@dataclass(frozen=True)
class Ended:
    """Nothing more will be heard of the task. `lost` says what died on our side, where that was for the second time."""

    task: Task
    seconds: float
    lost: Message | None = None


Event = Heard | Again | Ended
