"""Training: from the settings to a finished run folder. `loop.fit` is the only training loop."""
