"""The benchmark: this server and its peers take turns on one core; one load generator on another core drives them."""
