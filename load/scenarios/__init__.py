"""The scenarios: each a locustfile, and beside it what a server has to reach in it."""
