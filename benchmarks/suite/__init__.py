"""The parts of `benchmarks/run.py`, one module each; every part is a function from `Given` to a `Part`."""
