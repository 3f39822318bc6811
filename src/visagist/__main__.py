"""The command `visagist`, also as `python -m visagist`."""

import gc

from visagist.boundary.python_path import leave_out_working_folder


def main() -> None:
    """Run the command with modules from the environment alone; nothing else is imported before that is settled."""
    leave_out_working_folder()

    from visagist.cli import main as run

    try:
        run()
    finally:
        gc.freeze()  # the process ends: to look through all objects of torch for garbage would take half a second


if __name__ == "__main__":
    main()
