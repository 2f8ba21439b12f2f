"""The entry of a worker that is started as a process of its own, where fork is not to be had."""

import sys

from grader.worker.zygote import describe, fresh

if __name__ == "__main__":
    describe(sys.argv[2:]) if sys.argv[1] == "describe" else fresh(sys.argv[1:])
