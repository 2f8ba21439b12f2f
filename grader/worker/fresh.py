"""The entry of a worker that is started as a process of its own, where fork is not to be had."""

import sys

from grader.worker.zygote import fresh

if __name__ == "__main__":
    fresh(sys.argv[1:])
