"""Artifacts that are made once: the store, the keys, and the digest of the code that makes them.

Imports: bench.errors, methods.core.
To add a kind of artifact, call `Store.make` with a new kind and a key from `digest`, to which
`code_digest` of the module that makes it belongs.
"""
