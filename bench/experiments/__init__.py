"""Built-in experiments: `prefrontier bench NAME` runs NAME.yaml.

Imports: nothing.
To add an experiment, write a file here.
"""
