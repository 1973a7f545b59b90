"""A trained generator draws: samples, walks through latent space, and the nearest latent of a picture."""
