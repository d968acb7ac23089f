"""`python -m atlas` and the console script `atlas`."""

from atlas.commands import main

if __name__ == "__main__":
    main()
