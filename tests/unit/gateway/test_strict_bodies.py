"""A misspelt field that would grant or lift something is refused by its name, not dropped."""

import msgspec
import pytest

from mesh.gateway.account import NewKey, PasswordChange
from mesh.gateway.admin import NewPassword, NewRole, NewUser
from mesh.gateway.body import decode_body
from mesh.gateway.presets import SamplingParameters
from mesh.gateway.runs.body import OutputsBody
from mesh.gateway.usage import LimitsBody
from mesh.gateway.users import UserNameBody
from mesh.protocol.errors import ErrorCode, MeshError

OUTPUT = {"tool_call_id": "c", "output": "o"}


@pytest.mark.parametrize(
    ("kind", "body", "param"),
    [
        (NewKey, {"name": "k", "scope": ["ask"]}, "scope"),
        (NewKey, {"name": "k", "expire_in": 60}, "expire_in"),
        (LimitsBody, {"daily_token": 5}, "daily_token"),
        (PasswordChange, {"old": "a", "new": "b", "logout": True}, "logout"),
        (NewUser, {"account": "a", "password": "b", "rolle": "user"}, "rolle"),
        (NewPassword, {"password": "b", "once": True}, "once"),
        (NewRole, {"role": "user", "until": 5}, "until"),
        (UserNameBody, {"name": "ada", "is_admin": True}, "is_admin"),
        (OutputsBody, {"tool_outputs": [OUTPUT], "wait": 1}, "wait"),
        (OutputsBody, {"tool_outputs": [OUTPUT | {"failed": True}]}, "tool_outputs[0].failed"),
        (SamplingParameters, {"repetition_penalty": 1e-50}, "repetition_penalty"),
        (SamplingParameters, {"top_k": 1 << 40}, "top_k"),
        (SamplingParameters, {"max_new_tokens": 1 << 40}, "max_new_tokens"),
    ],
)
def test_what_is_not_known_is_named(
    kind: type[msgspec.Struct], body: dict[str, object], param: str
) -> None:
    with pytest.raises(MeshError) as caught:
        decode_body(msgspec.json.encode(body), kind)
    assert (caught.value.code, caught.value.param) == (ErrorCode.BAD_REQUEST, param)
