"""What the operating system gives a program: memory, disk, the standard streams, and how packages are installed."""
