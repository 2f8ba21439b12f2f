"""The process in which a learner's file runs: zygote, jail, server. Imports nothing of the grader but floor 1."""
