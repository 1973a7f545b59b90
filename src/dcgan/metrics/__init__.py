"""How good samples are: features of pictures, and numbers from features. Nothing here touches the network unasked."""
