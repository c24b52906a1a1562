"""The suite measured on itself: how often its verdicts are right, on many small pipelines."""
