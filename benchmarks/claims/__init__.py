"""The claims of the study's document: they are measured here or read from runs, and a page shows the results."""
