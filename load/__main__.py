"""`python -m load SCENARIO`: a load test without Locust's page, with a verdict and a report."""

from __future__ import annotations

import sys

from locust.argument_parser import get_parser
from locust.main import main as locust_main
from locust.util.load_locustfile import load_locustfile

from load.command_line import locust_arguments, locustfiles, make_parser

arguments, rest = make_parser().parse_known_args()
if arguments.more:
    for path in locustfiles(arguments):  # Locust's own --help is given before they are loaded, and lacks their options
        load_locustfile(str(path))
    get_parser().print_help()
else:
    sys.argv = locust_arguments(arguments, rest)
    locust_main()  # type: ignore[no-untyped-call]  # ends the program: 0, or 1 if an objective was breached, or 2
