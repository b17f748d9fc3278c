"""`python -m load SCENARIO`: a load test without Locust's page, with a verdict and a report."""

from __future__ import annotations

import sys

from locust.main import main as locust_main

from load.command_line import as_locust, parser

wanted, rest = parser().parse_known_args()
sys.argv = as_locust(wanted, rest)
locust_main()  # type: ignore[no-untyped-call]  # ends the program: 0, or 1 if an objective was breached, or 2
