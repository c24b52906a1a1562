"""What online methods are made of: rollouts, references, advantages, losses, and the loop.

Imports: methods.core.models, methods.core.training.
To add a part of a loss, write a pure function of tensors in advantages.py or surrogates.py.
"""
