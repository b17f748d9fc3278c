"""HTTP endpoints of extensions: the decorator, requests and responses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from chat_actors.kernel import BadHandler, Request

Method = TypeVar("Method", bound=Callable[..., Any])

METHODS = ("GET", "POST", "PUT", "DELETE")


class HttpRequest(msgspec.Struct, frozen=True):
    """A complete HTTP request.

    Attributes:
        method: The method in upper case, for example `"POST"`.
        path: The path below `/extensions`; it starts with `/NAME`, the extension's name.
        query: The query parameters; of several with one name, the last one.
        headers: The header fields, with names in lower case; of several with one name, the last one.
        body: The body, 64 KiB at most.
        address: The client's IP address.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    address: str


class HttpResponse(msgspec.Struct, frozen=True):
    """An HTTP response.

    Attributes:
        status: The status code (RFC 9110, section 15).
        json: The body, encoded as JSON; None for an empty body.
        headers: Additional header fields.
    """

    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = {}


class Serve(Request[HttpResponse], msgspec.Struct, frozen=True):
    """Ask a service to answer an HTTP request."""

    request: HttpRequest


Endpoints = Mapping[tuple[str, str], Callable[[Any, HttpRequest], Any]]
"""HTTP method and path → the method of the service."""


def endpoint(method: str, path: str) -> Callable[[Method], Method]:
    """Mark a method of a `Service` as the handler of an HTTP endpoint.

    The method has the form `async def take(self, request: HttpRequest) -> HttpResponse`, and may be a plain function.
    The server does not authenticate the client: the method must do that. An exception is answered with 500 and
    crashes the service. Only services with `Scope.SERVER` have endpoints.

    Args:
        method: `"GET"`, `"POST"`, `"PUT"` or `"DELETE"`.
        path: The path below `/extensions/NAME`, starting with `/`; NAME is the extension's name.

    Returns:
        A decorator that returns the method.
    """

    def mark(function: Method) -> Method:
        function.__dict__["answers_http"] = (method, path)  # read back by endpoints_of()
        return function

    return mark


def endpoints_of(owner: type[Any]) -> Endpoints:
    """Collect the endpoints of a class. Raises `BadHandler` for an invalid one."""
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
