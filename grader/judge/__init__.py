"""The judge: runs the suite in a trusted process, against a learner's file that lives in another."""
