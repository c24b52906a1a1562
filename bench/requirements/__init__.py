"""What an experiment takes before it starts: memory, time and disk, from models' configs alone.

Imports: bench.config, bench.data, bench.errors, bench.tasks, methods.core.
To add an architecture, nothing is needed: `shape.py` counts the parameters and traces the
activations of any model that transformers can build.
"""
