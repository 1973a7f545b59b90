"""What a trained generator can do: draw samples, walk through its latent space, and find the latent of a picture."""
