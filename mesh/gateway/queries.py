"""Refuses query parameters that nobody reads, where leaving one out would say more than was asked.

A filter that is spelled wrongly would else be no filter: all chats, or what everybody has used.
"""

import re

from litestar.params import QueryParameter

from mesh.gateway.body import SHOWN
from mesh.gateway.errors import AnyRequest
from mesh.protocol.errors import ErrorCode, MeshError

STRICT = re.compile(r"/(admin|account|v1/(assistants|threads|runs|actions|tools|users))(/|$)")
"""What is below these parts of the API lists things, or its clients are the mesh's own."""


def check_query(request: AnyRequest) -> None:
    """Raise MeshError (bad_request), naming a parameter that the route's handler does not have."""
    if request.method == "OPTIONS" or not STRICT.match(request.scope["path"]):
        return
    known = _declared(request)
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        name = unknown[0][:SHOWN]
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        detail = f"There is no query parameter {name!r} here; {takes}."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=name)


def refuse_queries(request: AnyRequest, *names: str) -> None:
    """Raise MeshError (unsupported), naming one of these parameters, which others know and nobody
    reads here; a list may be spelled with brackets, as OpenAI's clients do."""
    for given in request.query_params:
        name = given.removesuffix("[]")
        if name in names:
            detail = f"The query parameter {name!r} is not supported here; leave it out."
            raise MeshError(ErrorCode.UNSUPPORTED, detail, param=name)


def _declared(request: AnyRequest) -> list[str]:
    """The query parameters of a request's handler, in the order of its signature."""
    parameters = request.route_handler.parsed_fn_signature.parameters
    return [
        field.kwarg_definition.name or name
        for name, field in parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    ]
