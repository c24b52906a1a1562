"""Language models as policies and reward models: loading, sampling, text, and processes.

Imports: nothing.
To add code here, check that it needs a model or a tokenizer but no training: the harness uses this
folder too.
"""
