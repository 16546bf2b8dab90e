"""Every query of the store, and the reply that it hears.

The queries: `accounts.py`, `chats.py`, `assistants.py`, `threads.py`.
"""

from mesh.protocol.accounts import (
    Accounts,
    AddUser,
    CreateKey,
    GetShared,
    GetUser,
    Key,
    Keys,
    ListKeys,
    ListRuns,
    ListShares,
    ListUsers,
    LogIn,
    NoteKeyUse,
    RemoveUser,
    RenameUser,
    RevokeKey,
    RevokeRefresh,
    RevokeShare,
    Runs,
    SaveRefresh,
    SetPassword,
    SetRole,
    Share,
    ShareChat,
    Shares,
    SignIn,
    User,
    UseRefresh,
)
from mesh.protocol.assistants import (
    Assistant,
    AssistantPage,
    CreateAssistant,
    CreateTool,
    DeleteAssistant,
    DeleteTool,
    GetAssistant,
    GetTool,
    GiveTool,
    KeptTool,
    ListAssistants,
    ListTools,
    ShareAssistant,
    ToolPage,
    UpdateAssistant,
    UpdateTool,
)
from mesh.protocol.chats import (
    AddReport,
    AddUserMessage,
    Chat,
    ChatHits,
    ChatMessage,
    ChatPage,
    ChatTree,
    CreateChat,
    DeleteChat,
    GetChat,
    GetHealth,
    GetMessage,
    GetRun,
    Health,
    HideAllChats,
    ListChats,
    ListWorkerEvents,
    Ok,
    Plan,
    PlanAnswer,
    RunRow,
    SearchChats,
    UpdateChat,
    Vote,
    WorkerEvents,
)
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.evaluations import EvaluateMessage
from mesh.protocol.exports import ExportHeads, ListExport
from mesh.protocol.limits import Allowance, GetAllowance, GetUsage, SetAllowance, Usage
from mesh.protocol.numbered import ListNumbered, NumberedChats, OpenChat
from mesh.protocol.own_data import ClientRows, ListClients, ListToolRuns, ToolRuns
from mesh.protocol.questions import Refused
from mesh.protocol.taking_back import TakeBack
from mesh.protocol.threads import (
    AddThreadMessage,
    CreateThread,
    DeleteThread,
    DeleteThreadMessage,
    GetThreadMessage,
    ListLeftMessages,
    ListThreadMessages,
    ListThreadRuns,
    ListThreads,
    OpenThread,
    PlanThread,
    Thread,
    ThreadMessage,
    ThreadMessages,
    ThreadPage,
    ThreadPlan,
    ThreadRuns,
    UpdateThread,
)
from mesh.protocol.tools import GetThread, ThreadHistory

AccountQuery = (
    SignIn
    | LogIn
    | GetUser
    | ListUsers
    | AddUser
    | SetPassword
    | SetRole
    | RemoveUser
    | RenameUser
    | SaveRefresh
    | UseRefresh
    | RevokeRefresh
    | CreateKey
    | ListKeys
    | RevokeKey
    | NoteKeyUse
    | SetAllowance
    | GetAllowance
    | ListRuns
    | ShareChat
    | ListShares
    | RevokeShare
    | GetShared
)

ChatQuery = (
    CreateChat
    | ListChats
    | SearchChats
    | GetChat
    | UpdateChat
    | HideAllChats
    | DeleteChat
    | AddUserMessage
    | PlanAnswer
    | GetMessage
    | Vote
    | AddReport
    | GetHealth
    | GetRun
    | GetClient
    | GetThread
    | ListWorkerEvents
    | EvaluateMessage
    | OpenChat
    | TakeBack
    | ListNumbered
    | ListExport
    | ListToolRuns
    | ListClients
    | GetUsage
)

AssistantQuery = (
    CreateAssistant
    | GetAssistant
    | ListAssistants
    | UpdateAssistant
    | DeleteAssistant
    | ShareAssistant
    | GiveTool
    | CreateTool
    | GetTool
    | ListTools
    | UpdateTool
    | DeleteTool
)

ThreadQuery = (
    CreateThread
    | OpenThread
    | ListThreads
    | UpdateThread
    | DeleteThread
    | AddThreadMessage
    | DeleteThreadMessage
    | GetThreadMessage
    | ListThreadMessages
    | ListLeftMessages
    | PlanThread
    | ListThreadRuns
)

Query = AccountQuery | ChatQuery | AssistantQuery | ThreadQuery

Reply = (
    User
    | Accounts
    | Key
    | Keys
    | Share
    | Shares
    | Runs
    | Chat
    | ChatPage
    | ChatHits
    | ChatTree
    | ChatMessage
    | Plan
    | Ok
    | Health
    | RunRow
    | ClientUsage
    | ThreadHistory
    | WorkerEvents
    | NumberedChats
    | ExportHeads
    | ToolRuns
    | ClientRows
    | Allowance
    | Usage
    | Assistant
    | AssistantPage
    | KeptTool
    | ToolPage
    | Thread
    | ThreadPage
    | ThreadMessage
    | ThreadMessages
    | ThreadPlan
    | ThreadRuns
    | Refused
)

QUERIES: dict[type[Query], type[Reply]] = {
    SignIn: User,
    LogIn: User,
    GetUser: User,
    ListUsers: Accounts,
    AddUser: User,
    SetPassword: User,
    SetRole: User,
    RemoveUser: Ok,
    RenameUser: User,
    SaveRefresh: Ok,
    UseRefresh: User,
    RevokeRefresh: Ok,
    CreateKey: Key,
    ListKeys: Keys,
    RevokeKey: Ok,
    NoteKeyUse: Ok,
    SetAllowance: Allowance,
    GetAllowance: Allowance,
    GetUsage: Usage,
    ListRuns: Runs,
    ShareChat: Share,
    ListShares: Shares,
    RevokeShare: Ok,
    GetShared: ChatTree,
    CreateChat: Chat,
    ListChats: ChatPage,
    SearchChats: ChatHits,
    GetChat: ChatTree,
    UpdateChat: Chat,
    HideAllChats: Ok,
    DeleteChat: Ok,
    AddUserMessage: ChatMessage,
    PlanAnswer: Plan,
    GetMessage: ChatMessage,
    Vote: Ok,
    AddReport: Ok,
    GetHealth: Health,
    GetRun: RunRow,
    GetClient: ClientUsage,
    GetThread: ThreadHistory,
    ListWorkerEvents: WorkerEvents,
    EvaluateMessage: Ok,
    OpenChat: Chat,
    TakeBack: Ok,
    ListNumbered: NumberedChats,
    ListExport: ExportHeads,
    ListToolRuns: ToolRuns,
    ListClients: ClientRows,
    CreateAssistant: Assistant,
    GetAssistant: Assistant,
    ListAssistants: AssistantPage,
    UpdateAssistant: Assistant,
    DeleteAssistant: Ok,
    ShareAssistant: Ok,
    GiveTool: Ok,
    CreateTool: KeptTool,
    GetTool: KeptTool,
    ListTools: ToolPage,
    UpdateTool: KeptTool,
    DeleteTool: Ok,
    CreateThread: Thread,
    OpenThread: Thread,
    ListThreads: ThreadPage,
    UpdateThread: Thread,
    DeleteThread: Ok,
    DeleteThreadMessage: Ok,
    AddThreadMessage: ThreadMessage,
    GetThreadMessage: ThreadMessage,
    ListThreadMessages: ThreadMessages,
    ListLeftMessages: ThreadMessages,
    PlanThread: ThreadPlan,
    ListThreadRuns: ThreadRuns,
}
"""Each query and the reply it hears, `Refused` aside."""
