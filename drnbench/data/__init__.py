"""Images: where they come from, how they are read, degraded sets cached by content, sampling for training."""
