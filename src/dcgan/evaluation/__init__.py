"""Evaluation of a model or of files of samples: every metric with an interval and a real-against-real floor."""
