"""The studio: a web page on this machine to see a GAN learn, play with it and start trainings."""
