"""Ways of aligning a language model with preferences: one file for each method.

Imports: methods.core, methods.toolkit.
To add a method, write one file here. Its stem is the method's name, and it defines one subclass of
`methods.base.Method`. docs/methods.md explains the interface.
"""
