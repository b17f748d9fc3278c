"""Load tests against a running server, and the benchmark that compares it with other servers."""
