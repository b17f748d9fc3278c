"""The benchmark: this server and its peers, by turns on one core, driven by one generator on another."""
