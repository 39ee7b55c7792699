"""Why there is no release."""


class ReleaseRefusedError(Exception):
    """The release cannot be made; the message says what to change."""
