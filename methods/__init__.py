"""Ways of aligning a language model: one file per method, found by its file name."""
