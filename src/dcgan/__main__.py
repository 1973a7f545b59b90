"""`python -m dcgan` is the command `dcgan`."""

from dcgan.cli import main

if __name__ == "__main__":
    main()
