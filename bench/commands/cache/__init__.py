"""Commands about the cache: what is in it, whether it is whole, and what may go.

Imports: bench.cache, bench.errors, bench.results.
To add a command, write its module here and a function in `command_line.py`.
"""
