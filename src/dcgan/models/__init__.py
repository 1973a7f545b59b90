"""The networks: one file for each family, and how networks are built from the settings, saved and loaded."""
