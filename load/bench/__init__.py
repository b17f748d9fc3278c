"""The benchmark: this server and its peers (other chat servers) take turns on one core. One load generator on another
core drives them."""
