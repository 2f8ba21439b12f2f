"""The wire between judge and worker: values travel by value, in frames that are checked before memory is taken.

A frame is a fixed header, a *tree* of tagged values, and the raw bytes of the tree's arrays. Nothing is ever
unpickled, no type is looked up by a name that the peer sent, and every length, dtype, shape, count and depth is
bounded (`grader.limits`).

Values: None, bool, int, float, complex, str, bytes, list, tuple, dict and their subclasses, slice, numpy arrays and
scalars, dense CPU tensors, torch's dtypes and sizes, generators of numpy and torch (their state travels), and *objects*,
which cross as numbered handles. What lies transposed, sliced, expanded or reversed in memory arrives so.
"""

from grader.wire.decode import Decoder, decode
from grader.wire.encode import Encoder, type_name
from grader.wire.frame import HEADER, BadFrame, Frame, Header, Unsendable, read_header
from grader.wire.kinds import Kinds, Shadows, like, plain

__all__ = [
    "HEADER",
    "BadFrame",
    "Decoder",
    "Encoder",
    "Frame",
    "Header",
    "Kinds",
    "Shadows",
    "Unsendable",
    "decode",
    "like",
    "plain",
    "read_header",
    "type_name",
]
