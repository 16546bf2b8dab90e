"""What a worker says of a text outside of any request, while its model may be changed."""

import pytest
from msgspec.structs import replace

from mesh.protocol.codec import encode
from mesh.protocol.embeddings import Embed, Embedded
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.settings import WorkerSettings
from mesh.worker.loader import Loader
from mesh.worker.texts import Texts

SETTINGS = WorkerSettings(engine="echo", model_name="one")


async def test_no_embedding_is_made_by_another_model_than_the_one_asked() -> None:
    loader = await Loader.start(SETTINGS)
    texts = Texts(loader, loader.ready)

    async def embed(model: str) -> object:
        return await texts.answer("", encode(Embed(text="a fox", model=model)))

    assert isinstance(await embed("one"), Embedded)
    await loader.change(replace(SETTINGS, model_name="other"))
    with pytest.raises(MeshError, match="serves other now") as refused:
        await embed("one")
    assert refused.value.code is ErrorCode.NO_WORKER, "another may still have it"
    assert isinstance(await embed("other"), Embedded)
    assert isinstance(await embed(""), Embedded), "of a gateway that does not say"
    await loader.close()
