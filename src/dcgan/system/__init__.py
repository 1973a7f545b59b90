"""What the operating system gives a program: memory, disk, and the standard streams."""
