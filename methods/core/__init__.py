"""What methods are built from: policies, the context they train in, and loss functions."""
