"""The one exception that means "you asked for something that cannot be done"; the CLI prints it in a line."""


class WorldganError(Exception):
    """What was expected, what arrived, and what to do about it, in one line. Exit code 2 on the command line."""
