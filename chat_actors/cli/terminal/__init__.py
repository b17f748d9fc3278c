"""The chat that fills the terminal. Only the command `chat` imports it, for it loads Textual."""

from chat_actors.cli.terminal.app import ChatApp, chat_in_terminal

__all__ = ["ChatApp", "chat_in_terminal"]
