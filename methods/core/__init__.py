"""What methods are built from: feedback, models, training, and adapters to TRL's trainers.

Imports: nothing.
To add a kind of feedback, extend feedback.py. Everything else belongs in one of the folders below.
"""
