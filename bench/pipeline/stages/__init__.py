"""The stages of pipelines: each `make_...` function writes one artifact that all methods share.

The key of an artifact covers the code of its module and of all that it imports. So a module here
imports what its stage needs, and no more.

Imports: bench.cache, bench.data, bench.errors, bench.tasks, methods.core.
To add a stage, write its module and name it in the `stages` of a pipeline.
"""
