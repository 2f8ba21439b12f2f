"""gradkata: neural-network katas, graded."""

__version__ = "0.1.0"
