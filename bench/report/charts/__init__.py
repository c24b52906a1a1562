"""How charts look, and how many methods and tasks share a figure. Each section draws its own chart.

Imports: bench.report.content, bench.results.
To add what several charts need, add a function here; a chart of one section belongs to its module.
"""
