"""The run folder: its files, its metrics log and its lock."""
