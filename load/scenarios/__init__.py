"""The scenarios. Each is a locustfile with its objectives in the `.toml` file beside it."""
