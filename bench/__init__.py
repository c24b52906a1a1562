"""The harness: tasks, shared stages, evaluation, statistics and the report.

Folders follow the way of the data: task -> pipeline (base model, SFT policy, feedback, reward
model) -> method -> policy -> evaluation -> results -> analysis -> report. Imports run against it
and never with it.

Imports: methods.
To add something, open the folder that it belongs to: each says in its docstring how.
"""
