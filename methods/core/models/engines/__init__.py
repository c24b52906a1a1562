"""Engines: ways of sampling from a model, one file for each.

Imports: nothing.
To add an engine, write one file here with a subclass of `Engine`, and name it in choice.py. Import
its library inside its functions.
"""
