"""The studio: a web page on this machine to watch trainings, play with models and start trainings."""
