"""Adapters to TRL's trainers, which are used through their constructors and configs only.

Imports: methods.core.feedback, methods.core.models, methods.core.online, methods.core.training.
To add a trainer, write one file with a function that takes a Context and returns a ModelPolicy. Do
not override a trainer's private methods.
"""
