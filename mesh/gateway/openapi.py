"""`GET /openapi.json`: the routes as an OpenAPI 3.1 document, made from the handlers themselves.

A handler says in its decorator what its code alone does not show: `body=` the Struct it reads,
`reply=` what it answers with where it encodes that itself, `text=` the media type of a text that
it answers with, `events=` the kinds of its Server-Sent Events (a Literal: its words, as they
stand), `public=True` if nobody needs to sign in, `headers=` the request headers it looks at.
"""

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import HeaderParameter, ParameterKwarg, QueryParameter
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition
from msgspec import Meta

from mesh import __version__
from mesh.gateway.access import rule
from mesh.gateway.errors import AnyRequest
from mesh.gateway.refusals import components, event, refusals

REFERENCE = "#/components/schemas/{name}"

Json = dict[str, Any]


@get("/openapi.json", public=True)
async def openapi(request: AnyRequest) -> Response[bytes]:
    """This document."""
    return Response(document(request.app), media_type="application/json")


@lru_cache(maxsize=1)
def document(app: Litestar) -> bytes:
    """The OpenAPI document of an application, as JSON."""
    handlers = [
        (route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.handler_name != "options_handler"
    ]
    schemas = Schemas()
    paths: Json = {}
    for path, handler in handlers:
        for method in sorted(handler.http_methods):
            paths.setdefault(path, {})[method.lower()] = _operation(
                method.upper(), path, handler, schemas
            )
    routes = [(method.upper(), path) for path, found in paths.items() for method in found]
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "inference-mesh gateway", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "responses": components(routes, schemas.of),
            "schemas": schemas.components(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(schemas.filled(whole))


class Schemas:
    """JSON Schemas of all types that are named, made in one go once all are known."""

    def __init__(self) -> None:
        self._types: list[Any] = []

    def of(self, kind: Any) -> Json:
        """A place-holder for the schema of a type; `filled` puts the schema there."""
        if kind not in self._types:
            self._types.append(kind)
        return {"$schema_of": self._types.index(kind)}

    def components(self) -> Json:
        return self._made()[1]

    def filled(self, part: Any) -> Any:
        """A part of the document, with the schemas in their places."""
        schemas, _ = self._made()

        def fill(part: Any) -> Any:
            match part:
                case {"$schema_of": int(number)}:
                    return schemas[number]
                case dict():
                    return {key: fill(value) for key, value in part.items()}
                case list():
                    return [fill(value) for value in part]
            return part

        return fill(part)

    def _made(self) -> tuple[tuple[Json, ...], Json]:
        return msgspec.json.schema_components(
            self._types, schema_hook=_anything, ref_template=REFERENCE
        )


def _anything(kind: type) -> Json:
    """The schema of `object`, which stands for any JSON in a body."""
    if kind is not object:
        raise NotImplementedError
    return {"description": "Any JSON."}


def _operation(method: str, path: str, handler: HTTPRouteHandler, schemas: Schemas) -> Json:
    opt = handler.opt
    summary, _, description = (handler.fn.__doc__ or "").partition("\n")
    operation: Json = {
        "operationId": handler.handler_name,
        "summary": summary.strip(),
        "parameters": _parameters(path, handler, schemas),
        "responses": _responses(method, path, handler, schemas),
        "security": [] if opt.get("public") else [{"bearer": _scopes(path)}],
    }
    if description.strip():
        operation["description"] = " ".join(description.split())
    if "body" in opt:
        schema = schemas.of(opt["body"])
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _scopes(path: str) -> list[str]:
    """What a key needs; OpenAPI 3.1 has room for such names beside any way to sign in."""
    found = rule(path)
    return [found.scope] if found is not None and found.scope is not None else []


def _responses(method: str, path: str, handler: HTTPRouteHandler, schemas: Schemas) -> Json:
    opt, content = handler.opt, {}
    reply = opt.get("reply", _returned(handler.parsed_fn_signature.return_type))
    if reply is not Any:
        content["application/json"] = {"schema": schemas.of(reply)}
    if "text" in opt:
        content[opt["text"]] = {"schema": schemas.of(str)}
    if "events" in opt:
        content["text/event-stream"] = {"schema": event(opt["events"], schemas.of)}
    success = 302 if opt.get("redirects") else handler.status_code
    responses: Json = {str(success): {"description": "Success"}}
    if content and success != 302:
        responses[str(success)]["content"] = content
    for status, what in opt.get("also", {}).items():
        responses[str(status)] = {"description": what}
    return refusals(method, path) | responses


def _returned(field: FieldDefinition) -> Any:
    """The type of a handler's reply; Any where it does not say."""
    if field.origin is Response:
        kind = field.args[0]
        return Any if kind is bytes else kind
    plain = field.annotation
    if isinstance(plain, type) and issubclass(plain, Response) or field.is_union:
        return Any
    return plain


def _parameters(path: str, handler: HTTPRouteHandler, schemas: Schemas) -> list[Json]:
    found: list[Json] = []
    for name, field in handler.parsed_fn_signature.parameters.items():
        match field.kwarg_definition:
            case _ if f"{{{name}}}" in path:
                found.append(_parameter("path", name, schemas.of(str), required=True))
            case QueryParameter() as given:
                schema = _schema(field, given, schemas)
                found.append(_parameter("query", given.name or name, schema, field.is_required))
            case HeaderParameter() as given:
                found.append(_parameter("header", given.name or name, schemas.of(str)))
    for header, purpose in handler.opt.get("headers", {}).items():
        parameter = _parameter("header", header, schemas.of(str))
        found.append(parameter | {"description": purpose})
    return found


def _parameter(where: str, name: str, schema: Json, required: bool = False) -> Json:
    return {"in": where, "name": name, "required": required, "schema": schema}


def _schema(field: FieldDefinition, given: ParameterKwarg, schemas: Schemas) -> Json:
    if given.ge is None and given.le is None:
        return schemas.of(field.annotation)
    return schemas.of(Annotated[field.annotation, Meta(ge=given.ge, le=given.le)])
