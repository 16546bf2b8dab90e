"""The table of routes."""

from litestar.types import ControllerRouterHandler

from mesh.gateway.account import (
    change_password,
    create_key,
    delete_account,
    get_account,
    list_keys,
    revoke_key,
)
from mesh.gateway.admin import (
    add_user,
    list_users,
    remove_user,
    set_password,
    set_role,
    sign_out_user,
)
from mesh.gateway.ask.routes import ask, client_info
from mesh.gateway.assistants.routes import (
    create_assistant,
    delete_assistant,
    get_assistant,
    list_assistants,
    share_assistant,
    unshare_assistant,
    update_assistant,
    user_assistants,
)
from mesh.gateway.assistants.tools import (
    assistant_tools,
    create_tool,
    delete_tool,
    get_tool,
    get_tool_by_name,
    give_tool,
    list_tools,
    take_tool,
    update_tool,
)
from mesh.gateway.auth import (
    callback,
    check,
    login,
    logout,
    password_login,
    providers,
    refresh,
    sign_out_everywhere,
)
from mesh.gateway.cancel_token import cancel_by_token, cancel_token
from mesh.gateway.chats import (
    create_chat,
    delete_chat,
    get_chat,
    hide_all_chats,
    list_chats,
    update_chat,
)
from mesh.gateway.drafts import drafts, evaluate
from mesh.gateway.events import message_events
from mesh.gateway.export import export_chats
from mesh.gateway.generate import generate
from mesh.gateway.health import health, workers
from mesh.gateway.left_out import (
    builtin_plugins,
    create_action,
    create_container,
    create_vector_store,
    delete_action,
    list_containers,
    list_files,
    list_vector_stores,
    plugin_config,
    safety,
    upload_file,
)
from mesh.gateway.mesh_events import mesh_events
from mesh.gateway.messages import (
    assistant_message,
    cancel,
    exchange,
    get_message,
    prompter_message,
    report,
    vote,
)
from mesh.gateway.metrics.route import metrics
from mesh.gateway.model_configs import model_configs
from mesh.gateway.numbered import fetch, history, next_chat_id
from mesh.gateway.oauth.routes import provider_callback, provider_login, ticket
from mesh.gateway.openai.chat import chat_completions
from mesh.gateway.openai.embeddings import embeddings
from mesh.gateway.openai.left_out import (
    compact_response,
    completion_messages,
    count_input_tokens,
    create_thread_and_run,
    delete_completion,
    delete_model,
    get_completion,
    list_completions,
    update_completion,
)
from mesh.gateway.openai.models import get_model, list_models
from mesh.gateway.openai.responses.deleting import delete_response
from mesh.gateway.openai.responses.inputs import list_input_items
from mesh.gateway.openai.responses.routes import (
    cancel_response,
    create_response,
    get_response,
)
from mesh.gateway.openai.texts import completions
from mesh.gateway.openai.tokenize import tokenize
from mesh.gateway.openapi import openapi
from mesh.gateway.orders import cancel_request, drain_worker
from mesh.gateway.own_data import export_account
from mesh.gateway.runs.process import process_messages
from mesh.gateway.runs.routes import (
    cancel_run,
    create_run,
    get_action,
    get_run,
    pending_actions,
    put_action,
    run_actions,
    run_events,
    submit_tool_outputs,
)
from mesh.gateway.runs.status import set_run_status
from mesh.gateway.search import search_chats
from mesh.gateway.sharing import list_shares, revoke_share, share_chat, shared_chat
from mesh.gateway.site import index, page_file
from mesh.gateway.threads.messages import (
    add_message,
    delete_message,
    formatted_messages,
    get_thread_message,
    list_messages,
    post_message,
    post_outcome,
    post_said,
)
from mesh.gateway.threads.routes import (
    create_thread,
    delete_thread,
    get_thread,
    list_threads,
    update_thread,
    user_threads,
)
from mesh.gateway.threads.runs import create_thread_run, list_thread_runs
from mesh.gateway.titles import generate_title
from mesh.gateway.trusted import trusted
from mesh.gateway.usage import (
    all_usage,
    limit_key,
    limit_user,
    own_limits,
    own_usage,
    user_limits,
)
from mesh.gateway.users import (
    create_user,
    delete_user,
    get_user,
    list_all_users,
    update_user,
)
from mesh.gateway.worker_admin import enrol_worker, enrolled_workers, expel_worker
from mesh.gateway.worker_events import worker_events
from mesh.gateway.worker_sessions import worker_sessions

ROUTES: list[ControllerRouterHandler] = [
    callback,
    check,
    login,
    logout,
    password_login,
    providers,
    refresh,
    sign_out_everywhere,
    change_password,
    create_key,
    delete_account,
    get_account,
    list_keys,
    revoke_key,
    add_user,
    list_users,
    remove_user,
    set_password,
    set_role,
    sign_out_user,
    all_usage,
    limit_key,
    limit_user,
    own_limits,
    own_usage,
    user_limits,
    enrol_worker,
    enrolled_workers,
    expel_worker,
    export_account,
    export_chats,
    list_shares,
    revoke_share,
    share_chat,
    shared_chat,
    trusted,
    provider_callback,
    provider_login,
    ticket,
    create_chat,
    delete_chat,
    get_chat,
    hide_all_chats,
    list_chats,
    update_chat,
    assistant_message,
    cancel,
    cancel_by_token,
    cancel_token,
    exchange,
    get_message,
    drafts,
    evaluate,
    message_events,
    prompter_message,
    report,
    vote,
    model_configs,
    builtin_plugins,
    plugin_config,
    safety,
    list_files,
    upload_file,
    list_vector_stores,
    create_vector_store,
    list_containers,
    create_container,
    create_action,
    delete_action,
    list_completions,
    get_completion,
    update_completion,
    delete_completion,
    completion_messages,
    compact_response,
    count_input_tokens,
    delete_model,
    create_thread_and_run,
    openapi,
    metrics,
    generate,
    history,
    fetch,
    next_chat_id,
    health,
    workers,
    worker_events,
    worker_sessions,
    list_models,
    get_model,
    chat_completions,
    completions,
    embeddings,
    tokenize,
    create_response,
    get_response,
    cancel_response,
    delete_response,
    list_input_items,
    process_messages,
    create_run,
    get_run,
    run_events,
    submit_tool_outputs,
    cancel_run,
    set_run_status,
    run_actions,
    pending_actions,
    get_action,
    put_action,
    create_assistant,
    list_assistants,
    get_assistant,
    update_assistant,
    delete_assistant,
    user_assistants,
    share_assistant,
    unshare_assistant,
    create_user,
    list_all_users,
    get_user,
    update_user,
    delete_user,
    create_tool,
    list_tools,
    get_tool,
    get_tool_by_name,
    update_tool,
    delete_tool,
    assistant_tools,
    give_tool,
    take_tool,
    create_thread,
    list_threads,
    get_thread,
    update_thread,
    delete_thread,
    user_threads,
    add_message,
    delete_message,
    post_message,
    post_outcome,
    post_said,
    get_thread_message,
    list_messages,
    formatted_messages,
    create_thread_run,
    list_thread_runs,
    ask,
    client_info,
    search_chats,
    generate_title,
    mesh_events,
    cancel_request,
    drain_worker,
    index,
    page_file,
]
