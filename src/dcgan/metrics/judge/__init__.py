"""The judge: a small classifier whose features and class scores the metrics use."""
