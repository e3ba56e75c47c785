"""The benchmarks: each stands beside its floor, measured in the same run.

`pytest benchmarks` measures; `pytest benchmarks --benchmark-disable` only shows that they run.
"""
