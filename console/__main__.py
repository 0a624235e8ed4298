"""`python -m console`: the `holdfast` command."""

from console.cli import main

if __name__ == "__main__":
    main()
