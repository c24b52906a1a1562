"""Models and tokenizers, and how stages train them: what several stages share.

Imports: bench.errors, bench.tasks, methods.core.
To add a kind of training, write a module with a function that stages pass to `Pipeline.fit`.
"""
