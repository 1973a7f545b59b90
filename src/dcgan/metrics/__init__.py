"""Feature extractors, and the metrics that are computed from features."""
