"""`GET /v1/models` and `GET /v1/models/{model}`: what one may ask for."""

from typing import Literal

from litestar import Response, get
from litestar.params import FromPath
from msgspec import Struct

from mesh.gateway.body import as_json
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.worker_info import ModelCard


class Model(Struct):
    """A model. Its length, engine and abilities are known while somebody serves it (`available`).

    created: Unix seconds since when it is served without a break; 0 while it is not.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    available: bool
    context_length: int | None
    engine: str | None
    abilities: list[str]


class ModelList(Struct):
    object: Literal["list"]
    data: list[Model]


@get("/v1/models", reply=ModelList)
async def list_models(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Every model this mesh knows, served now or not, by name."""
    services.doorman.principal(request)
    return as_json(ModelList("list", _models(services)))


@get("/v1/models/{model:path}", reply=Model)
async def get_model(request: AnyRequest, services: Wired, model: FromPath[str]) -> Response[bytes]:
    """One model by its name, which may have slashes. 404 for one that nobody ever served."""
    services.doorman.principal(request)
    wanted = model.removeprefix("/")
    for known in _models(services):
        if known.id == wanted:
            return as_json(known)
    raise MeshError(
        ErrorCode.MODEL_NOT_FOUND,
        f"There is no model {wanted!r}; GET /v1/models lists the ones there are.",
        param="model",
    )


def _models(services: Services) -> list[Model]:
    return [_model(services, name, card) for name, card in services.models.cards().items()]


def _model(services: Services, name: str, card: ModelCard | None) -> Model:
    since = [worker.started for worker in services.models.workers(name)]
    return Model(
        id=name,
        object="model",
        created=int(min(since, default=0)),
        owned_by="mesh",
        available=card is not None,
        context_length=card.context_length if card is not None else None,
        engine=card.engine if card is not None else None,
        abilities=list(card.abilities) if card is not None else [],
    )
