"""HTTP requests to extensions: the methods that answer them, and what these are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from chat_actors.kernel import BadHandler, Request

Method = TypeVar("Method", bound=Callable[..., Any])

METHODS = ("GET", "POST", "PUT", "DELETE")


class HttpRequest(msgspec.Struct, frozen=True):
    """A request as a whole. Names of headers are in lower case; of several of one name the last counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    address: str


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer: with `json` as its body, if there is something to say."""

    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = {}


class Serve(Request[HttpResponse], msgspec.Struct, frozen=True):
    """Answer an HTTP request."""

    request: HttpRequest


Endpoints = Mapping[tuple[str, str], Callable[[Any, HttpRequest], Any]]
"""HTTP method and path → the function that answers."""


def endpoint(method: str, path: str) -> Callable[[Method], Method]:
    """Mark a method of a `Service` as what answers requests to `/extensions/NAME` + `path`, NAME being the extension's.

    `async def take(self, request: HttpRequest) -> HttpResponse`. Nobody has been authenticated: that is its own affair.
    What it raises is a 500, and a crash of the service.
    """

    def mark(function: Method) -> Method:
        function.__dict__["answers_http"] = (method, path)  # read back by endpoints_of()
        return function

    return mark


def endpoints_of(owner: type[Any]) -> Endpoints:
    """The endpoints of a class. Raises `BadHandler` for what is of no use."""
    found: dict[tuple[str, str], Callable[[Any, HttpRequest], Any]] = {}
    for name, function in inspect.getmembers(owner, inspect.isfunction):
        marked = getattr(function, "answers_http", None)
        if marked is None:
            continue
        label = f"{owner.__qualname__}.{name}"
        method, path = marked
        if method not in METHODS:
            raise BadHandler(label, f"{method!r} is none of {', '.join(METHODS)}")
        if not path.startswith("/"):
            raise BadHandler(label, f"the path {path!r} must begin with /")
        if marked in found:
            raise BadHandler(label, f"{found[marked].__qualname__} is already there for {method} {path}")
        found[marked] = function
    return found
