"""What the results of a claim's experiment say of the claim: values by seed, tests, verdicts.

Imports: bench.analysis, bench.config, bench.errors, bench.evaluation, bench.results.
To add a quantity, write its function in `quantities.py` and add it to `QUANTITIES`.
"""
