"""What follows the jobs while they run: the terminal's progress, and trackers of training curves.

Imports: bench.cache, bench.errors, bench.execution, methods.core.
To add a watcher, write a class with the methods of `bench.execution.execute.Watcher` and give it to
`execute`.
"""
