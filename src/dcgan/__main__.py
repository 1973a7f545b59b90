"""The command `dcgan`, also as `python -m dcgan`."""

import sys


def main() -> None:
    """Run the command. Ctrl-C ends it in one line already while it is imported, which takes a part of a second."""
    try:
        from dcgan.cli.main import main as run_command
    except KeyboardInterrupt:
        sys.stderr.write("dcgan: stopped\n")
        sys.exit(130)  # 128 + the number of SIGINT
    run_command()


if __name__ == "__main__":
    main()
