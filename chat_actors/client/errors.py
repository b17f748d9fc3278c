"""What the client's exceptions have in common."""


class ClientError(Exception):
    """Base of all that the client raises because of a server, a line or a file; its text says what to do."""
