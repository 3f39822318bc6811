"""The command `visagist`, also as `python -m visagist`."""

from visagist.boundary.python_path import leave_out_working_folder


def main() -> None:
    """Run the command with modules from the environment alone; nothing else is imported before that is settled."""
    leave_out_working_folder()

    from visagist.cli import main as run

    run()


if __name__ == "__main__":
    main()
