"""How the number of users changes over a test: each a locustfile, to be given beside a scenario's."""
