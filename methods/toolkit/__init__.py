"""Base classes for methods: the hyper-parameters and the training that a family of them shares.

Imports: methods.base, methods.core.
To add a family, write one file with a frozen dataclass under `methods.base.Method`. Code that one
method alone needs stays in that method's file.
"""
