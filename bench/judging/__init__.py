"""Language models as judges behind an OpenAI-compatible API, and annotations of other judges.

Imports: bench.analysis, bench.cache, bench.config, bench.errors, bench.evaluation,
bench.interrupt, bench.results, methods.core.
To add a question, write a template; to add another kind of API, write a module like `client.py`.
"""
