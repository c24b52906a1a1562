"""From tables of results to numbers: statistics, selection, contrasts, rankings, over-optimization.

Pure functions of the frames in a `Results`; how numbers look is the report's business.

Imports: bench.errors, bench.evaluation, bench.results.
To add an analysis, write a module with its functions; a report section shows what it returns.
"""
