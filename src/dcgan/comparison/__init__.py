"""Several presets side by side: trained over seeds at equal work, measured, and tested for a difference."""
