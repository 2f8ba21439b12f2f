"""What is told as data: a code, or a sentence of a kata's own, and the values that stand in it."""

from grader.messages.message import Message, Value, text

__all__ = ["Message", "Value", "text"]
