"""Load shapes: how the number of users changes over a test. Each is a locustfile, used together with a scenario."""
