"""The report of a run as one HTML file, and the curves of a run as a PNG."""
