"""`python -m visagist` is the command `visagist`."""

from visagist.cli import main

if __name__ == "__main__":
    main()
