"""Exit codes beside those of `grader.errors` and of the scorecard."""

INTERRUPTED = 130
