"""Image sets: opened from a name, a folder or a file, and prepared once."""
