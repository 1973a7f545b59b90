"""The networks: one family a file, how they are built from the settings, saved and loaded."""
