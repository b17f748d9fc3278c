"""Minimal room servers on other libraries: each message goes as JSON to all members of its room.

Each is idiomatic for its library: a fast JSON encoder, each message encoded once, no compression, no keep-alive pings.
None has logins, limits, events, or a policy for clients that do not read.
"""
