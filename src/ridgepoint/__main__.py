"""`python -m ridgepoint` is the command `ridgepoint`."""

from ridgepoint.cli.main import main

if __name__ == "__main__":
    main()
