"""The same small job on other libraries: rooms, and each message as JSON to all members of its room.

Each is what a good engineer would write there without trouble: JSON encoded once for a message, by a fast encoder;
no compression, no keep-alive pings. None has a login, a limit, an event, or an answer to a client that does not read.
"""
