"""The one exception that is the user's to mend."""


class InputError(Exception):
    """A mistake in what the user gave: one line that says what is wrong, where, and what to do.

    Scripts print its text and exit with a non-zero code, without a traceback.
    Anything else that is raised is a fault of pixelcal and keeps its traceback.
    """
