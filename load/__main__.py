"""`python -m load SCENARIO`: run a load test without Locust's web page; print a verdict and write a report."""

from __future__ import annotations

import sys

from locust.argument_parser import get_parser
from locust.main import main as locust_main
from locust.util.load_locustfile import load_locustfile

from load.command_line import locust_arguments, locustfiles, make_parser

arguments, rest = make_parser().parse_known_args()
if arguments.more:
    for path in locustfiles(arguments):  # Locust's own --help exits before it loads them, so it lacks their options
        load_locustfile(str(path))
    get_parser().print_help()
else:
    sys.argv = locust_arguments(arguments, rest)
    locust_main()  # type: ignore[no-untyped-call]  # exits: 0 if the test passed, 1 if it failed, 2 for bad options
