"""A chat server whose users are key pairs and whose moving parts are actors."""

__version__ = "0.1.0"
