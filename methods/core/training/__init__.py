"""The context that methods train in, and the training loops that several of them share.

Imports: methods.core.feedback, methods.core.models.
To add a loop, write a function that takes a Context and returns a ModelPolicy, as `fit_pairs` does.
"""
