"""Load on a running server: how fast it is, and what it stands."""
