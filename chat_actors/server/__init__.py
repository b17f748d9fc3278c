"""The server: settings, the Quart app, the connection between a socket and its session, and the run of it all."""
