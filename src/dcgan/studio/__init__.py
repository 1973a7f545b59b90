"""The studio: web pages on this machine to watch trainings, to play with models and to start trainings."""
