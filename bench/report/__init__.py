"""The report: a pure function of the files that a run leaves."""
