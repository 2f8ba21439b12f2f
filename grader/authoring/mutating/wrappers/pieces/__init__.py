"""What wrappers are made of: each function here is pasted into the mutants that use it, so none needs more than its own file.

Values are whatever a learner's function takes or gives: numbers, text, arrays, tensors, modules, and lists, tuples and
dicts of them. A mutant of a NumPy kata runs where torch is not: what needs it imports it itself. Pasted without their
annotations, functions may use what stands in the standard library's `contextlib`, `re` and `sys`, and each other.
"""
