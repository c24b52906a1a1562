"""The harness: what is compared, on what, how it is run, measured and reported."""
