"""Who may do what: a rule for each operation of the OpenAPI document, written down once more.

The gateway goes by how a path begins (`mesh/gateway/access.py`), and handlers know the rest; what
comes of the two is said here operation by operation, so that a new one is thought about.
"""

from typing import NamedTuple

from mesh.protocol.accounts import Role, Scope


class Rule(NamedTuple):
    """needs: the scopes that a key has to have, None: nobody needs to sign in; role: the least that
    a person needs; ids: of what kinds those in the path are, in their order (`tests/owned.py`);
    owned: whether they are somebody's, so that all others are told that there is no such thing.
    `anybody` is a person whom others may name: with whom something is shared; above: from which
    role on one may do it with everybody's."""

    needs: frozenset[Scope] | None
    role: Role = "user"
    ids: tuple[str, ...] = ()
    owned: bool = True
    above: Role | None = None

    @property
    def asks(self) -> bool:
        """Whether it is for asking models and no more, which guests may."""
        return self.needs == frozenset[Scope]({"ask"})


PUBLIC = Rule(None)
ANY_KEY = Rule(frozenset())
OPERATORS, ADMINS = Rule(frozenset({"admin"}), "operator"), Rule(frozenset({"admin"}), "admin")
ASK_ADMINS = Rule(frozenset({"ask", "admin"}), "admin")


def ask(*ids: str) -> Rule:
    return Rule(frozenset({"ask"}), ids=ids)


def chats(*ids: str) -> Rule:
    return Rule(frozenset({"chats"}), ids=ids)


def mesh(*ids: str) -> Rule:
    return Rule(frozenset({"mesh"}), ids=ids)


def account(*ids: str) -> Rule:
    return Rule(frozenset({"account"}), ids=ids)


def admins(*ids: str) -> Rule:
    return ADMINS._replace(ids=ids)


ONESELF = Rule(frozenset({"ask", "account"}), ids=("user",), above="admin")
EVERYBODYS_MODEL = ask("model")._replace(owned=False)
NOT_DONE = ask("action")._replace(owned=False)
NO_COMPLETION = ask("response")._replace(owned=False)
"""Always 501, whosever it is."""

GUESTS = ("GET /metrics", "GET /account/limits")
"""What is open to guests, where there are any, besides what a key of the scope `ask` opens."""

RULES: dict[str, Rule] = {
    # --- for everybody ---
    "GET /": PUBLIC,
    "GET /page/{name}": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /v1/health": PUBLIC,
    "GET /auth/providers": PUBLIC,
    "POST /auth/login": PUBLIC,
    "GET /auth/login/debug": PUBLIC,
    "GET /auth/callback/debug": PUBLIC,
    "GET /auth/login/{provider}": PUBLIC,
    "GET /auth/callback/{provider}": PUBLIC,
    "POST /auth/ticket": PUBLIC,
    "POST /auth/trusted": PUBLIC,
    "GET /auth/refresh": PUBLIC,
    "POST /auth/logout": PUBLIC,
    "POST /cancel": PUBLIC,
    "GET /shared/{share_id}": PUBLIC,
    # --- accounts ---
    "GET /auth/check": ANY_KEY,
    "DELETE /auth/sessions": account(),
    "GET /account": account(),
    "DELETE /account": account(),
    "GET /account/export": account(),
    "GET /account/usage": account(),
    "GET /account/limits": account(),
    "PUT /account/password": account(),
    "GET /account/keys": account(),
    "POST /account/keys": account(),
    "DELETE /account/keys/{key_id}": account("key"),
    "PUT /account/keys/{key_id}/limits": account("key"),
    "GET /admin/export": OPERATORS,
    "GET /admin/usage": ADMINS,
    "GET /admin/users": ADMINS,
    "POST /admin/users": ADMINS,
    "DELETE /admin/users/{user_id}": admins("user"),
    "GET /admin/users/{user_id}/limits": admins("user"),
    "PUT /admin/users/{user_id}/limits": admins("user"),
    "PUT /admin/users/{user_id}/password": admins("user"),
    "PUT /admin/users/{user_id}/role": admins("user"),
    "DELETE /admin/refresh_tokens/{user_id}": admins("user"),
    "GET /admin/workers": ADMINS,
    "PUT /admin/workers": ADMINS,
    "DELETE /admin/workers/{worker_id}": admins("worker"),
    "GET /v1/users": ASK_ADMINS,
    "POST /v1/users": ASK_ADMINS,
    "GET /v1/users/{user_id}": ONESELF,
    "PUT /v1/users/{user_id}": ONESELF,
    "DELETE /v1/users/{user_id}": ONESELF,
    # --- chats ---
    "GET /chats": chats(),
    "POST /chats": chats(),
    "GET /chats/search": chats(),
    "PUT /chats/hide_all": chats(),
    "GET /chats/{chat_id}": chats("chat"),
    "PUT /chats/{chat_id}": chats("chat"),
    "DELETE /chats/{chat_id}": chats("chat"),
    "POST /chats/{chat_id}/title": chats("chat"),
    "POST /chats/{chat_id}/prompter_message": chats("chat"),
    "POST /chats/{chat_id}/assistant_message": chats("chat"),
    "POST /chats/{chat_id}/messages": chats("chat"),
    "POST /chats/{chat_id}/drafts": chats("chat"),
    "GET /chats/{chat_id}/shares": chats("chat"),
    "POST /chats/{chat_id}/shares": chats("chat"),
    "DELETE /chats/{chat_id}/shares/{share_id}": chats("chat", "share"),
    "GET /chats/{chat_id}/messages/{message_id}": chats("chat", "answer"),
    "GET /chats/{chat_id}/messages/{message_id}/events": chats("chat", "answer"),
    "POST /chats/{chat_id}/messages/{message_id}/cancel": chats("chat", "answer"),
    "POST /chats/{chat_id}/messages/{message_id}/cancel_token": chats("chat", "answer"),
    "POST /chats/{chat_id}/messages/{message_id}/votes": chats("chat", "answer"),
    "POST /chats/{chat_id}/messages/{message_id}/reports": chats("chat", "answer"),
    "POST /chats/{chat_id}/messages/{message_id}/message_evals": chats("chat", "answer"),
    "POST /history": chats(),
    "POST /fetch": chats(),
    "GET /next_chat_id": chats(),
    # --- the mesh ---
    "GET /workers": mesh(),
    "GET /workers/events": mesh(),
    "GET /workers/sessions": Rule(frozenset({"mesh"}), "operator"),
    "POST /workers/{name}/drain": Rule(frozenset({"mesh"}), "operator", ("worker",)),
    "GET /mesh/events": mesh(),
    "POST /mesh/requests/{rid}/cancel": mesh("request")._replace(above="operator"),
    "GET /metrics": mesh(),
    # --- asking ---
    "POST /generate": ask(),
    "POST /tokenize": ask(),
    "POST /safety": ask(),
    "GET /configs/model_configs": ask(),
    "GET /configs/builtin_plugins": ask(),
    "POST /configs/plugin_config": ask(),
    "POST /api/messages/process": ask(),
    "POST /v1/ask": ask(),
    "GET /v1/client/info": ask(),
    "GET /v1/models": ask(),
    "GET /v1/models/{model}": EVERYBODYS_MODEL,
    "POST /v1/chat/completions": ask(),
    "POST /v1/completions": ask(),
    "POST /v1/embeddings": ask(),
    "POST /v1/responses": ask(),
    "GET /v1/responses/{response_id}": ask("response"),
    "DELETE /v1/responses/{response_id}": ask("response"),
    "POST /v1/responses/{response_id}/cancel": ask("response"),
    "GET /v1/responses/{response_id}/input_items": ask("response"),
    "GET /v1/files": ask(),
    "POST /v1/files": ask(),
    "GET /v1/vector_stores": ask(),
    "POST /v1/vector_stores": ask(),
    "GET /v1/containers": ask(),
    "POST /v1/containers": ask(),
    "GET /v1/chat/completions": ask(),
    "GET /v1/chat/completions/{completion_id}": NO_COMPLETION,
    "POST /v1/chat/completions/{completion_id}": NO_COMPLETION,
    "DELETE /v1/chat/completions/{completion_id}": NO_COMPLETION,
    "GET /v1/chat/completions/{completion_id}/messages": NO_COMPLETION,
    "POST /v1/responses/compact": ask(),
    "POST /v1/responses/input_tokens": ask(),
    "DELETE /v1/models/{model}": EVERYBODYS_MODEL,
    "POST /v1/threads/runs": ask(),
    # --- assistants, tools, threads, runs ---
    "GET /v1/assistants": ask(),
    "POST /v1/assistants": ask(),
    "GET /v1/assistants/{assistant_id}": ask("assistant"),
    "PUT /v1/assistants/{assistant_id}": ask("assistant"),
    "DELETE /v1/assistants/{assistant_id}": ask("assistant"),
    "GET /v1/assistants/{assistant_id}/tools": ask("assistant"),
    "POST /v1/assistants/{assistant_id}/tools/{tool_id}": ask("assistant", "tool"),
    "DELETE /v1/assistants/{assistant_id}/tools/{tool_id}": ask("assistant", "tool"),
    "GET /v1/users/{user_id}/assistants": ask("user"),
    "POST /v1/users/{user_id}/assistants/{assistant_id}": ask("anybody", "assistant"),
    "DELETE /v1/users/{user_id}/assistants/{assistant_id}": ask("anybody", "assistant"),
    "GET /v1/users/{user_id}/threads": ask("user"),
    "GET /v1/tools": ask(),
    "POST /v1/tools": ask(),
    "GET /v1/tools/{tool_id}": ask("tool"),
    "PUT /v1/tools/{tool_id}": ask("tool"),
    "DELETE /v1/tools/{tool_id}": ask("tool"),
    "GET /v1/tools/name/{name}": ask("tool_name"),
    "GET /v1/threads": ask(),
    "POST /v1/threads": ask(),
    "GET /v1/threads/{thread_id}": ask("thread"),
    "PUT /v1/threads/{thread_id}": ask("thread"),
    "DELETE /v1/threads/{thread_id}": ask("thread"),
    "GET /v1/threads/{thread_id}/messages": ask("thread"),
    "POST /v1/threads/{thread_id}/messages": ask("thread"),
    "DELETE /v1/threads/{thread_id}/messages/{message_id}": ask("thread", "message"),
    "GET /v1/threads/{thread_id}/formatted_messages": ask("thread"),
    "GET /v1/threads/{thread_id}/runs": ask("thread"),
    "POST /v1/threads/{thread_id}/runs": ask("thread"),
    "POST /v1/messages": ask(),
    "POST /v1/messages/tools": ask(),
    "POST /v1/messages/assistant": ask(),
    "GET /v1/messages/{message_id}": ask("message"),
    "POST /v1/runs": ask(),
    "GET /v1/runs/{run_id}": ask("run"),
    "GET /v1/runs/{run_id}/events": ask("run"),
    "POST /v1/runs/{run_id}/submit_tool_outputs": ask("run"),
    "POST /v1/runs/{run_id}/cancel": ask("run"),
    "PUT /v1/runs/{run_id}/status": ask("run"),
    "GET /v1/runs/{run_id}/actions/status": ask("run"),
    "POST /v1/actions": ask(),
    "GET /v1/actions/pending/{run_id}": ask("run"),
    "GET /v1/actions/{action_id}": ask("action"),
    "PUT /v1/actions/{action_id}": ask("action"),
    "DELETE /v1/actions/{action_id}": NOT_DONE,
}
