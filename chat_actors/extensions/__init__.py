"""The shipped extensions: disabled by default, and written against the public names of `chat_actors` only."""
