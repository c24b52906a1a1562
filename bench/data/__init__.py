"""Recorded preferences: reading files and data sets, the label in each row, and the splits.

Imports: bench.errors, methods.core.
To add a form of preferences, add a `Form` to `forms.py` and its name to `wording.py`. To add a file
type, add a reader to `reading.py`. To add a reason to leave a row out, add a `Code` to `rows.py`
and its text to `wording.py`.
"""
