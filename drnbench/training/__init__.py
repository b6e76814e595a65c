"""The training loop, its data, checkpoints and history."""
