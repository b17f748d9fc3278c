"""The full-screen terminal chat. Only the `chat` command imports it, because it loads Textual."""

from chat_actors.cli.terminal.app import ChatApp, run_terminal_chat

__all__ = ["ChatApp", "run_terminal_chat"]
