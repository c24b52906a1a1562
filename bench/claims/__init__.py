"""Published claims that `prefrontier claims` tests, one YAML file each.

Imports: nothing.
To add a claim, write its file: see docs/claims.md and `bench/config/claim.py`.
"""
