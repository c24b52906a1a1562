"""What all methods of a task and seed share: base model, SFT policy, feedback, reward model."""
