"""What is told as data: a code, or a sentence by its English, and the values that stand in it; and how it is worded."""

from grader.messages.message import Message, Value, message, said, text

__all__ = ["Message", "Value", "message", "said", "text"]
