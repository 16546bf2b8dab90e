"""The table of what is asked of the broker itself, by whom, and what nobody may ask of it."""

from dataclasses import dataclass

from mesh.protocol.catalogue import EXAMPLES, Role, fill


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of JetStream's API, made by publishing on a subject."""

    pattern: str
    callers: tuple[Role, ...]
    purpose: str

    def example(self) -> str:
        return fill(self.pattern, EXAMPLES)


_READ_LOG = (Role.GATEWAY, Role.STORE, Role.OPERATOR)
_LOOK = (Role.GATEWAY, Role.OPERATOR)

CALLS = (
    Call(
        pattern="$JS.API.STREAM.CREATE.<stream>",
        callers=(Role.GATEWAY,),
        purpose="Declare a stream.",
    ),
    Call(
        pattern="$JS.API.STREAM.UPDATE.<stream>",
        callers=(Role.GATEWAY,),
        purpose="Bring a stream's limits up to the settings.",
    ),
    Call(pattern="$JS.API.STREAM.INFO.RUN", callers=_READ_LOG, purpose="State of the log."),
    Call(pattern="$JS.API.STREAM.INFO.REQ", callers=_LOOK, purpose="State of the queue."),
    Call(pattern="$JS.API.STREAM.INFO.KV_workers", callers=_LOOK, purpose="State of presence."),
    Call(
        pattern="$JS.API.STREAM.INFO.KV_leases",
        callers=_LOOK,
        purpose="How many leases there are.",
    ),
    Call(
        pattern="$JS.API.DIRECT.GET.KV_leases",
        callers=(Role.GATEWAY,),
        purpose="Which gateways live.",
    ),
    Call(
        pattern="$JS.API.STREAM.INFO.KV_accounts",
        callers=(Role.GATEWAY, Role.STORE),
        purpose="How many keys and marks there are.",
    ),
    Call(
        pattern="$JS.API.DIRECT.GET.KV_accounts",
        callers=(Role.GATEWAY, Role.STORE),
        purpose="All keys and marks.",
    ),
    Call(pattern="$JS.API.STREAM.INFO.DLQ", callers=_LOOK, purpose="Whether there are letters."),
    Call(pattern="$JS.API.STREAM.MSG.GET.DLQ", callers=_LOOK, purpose="One dead letter."),
    Call(pattern="$JS.API.DIRECT.GET.DLQ", callers=_LOOK, purpose="All dead letters."),
    Call(
        pattern="$JS.API.STREAM.MSG.GET.RUN",
        callers=_READ_LOG,
        purpose="The leader's last message of a request or a reply address.",
    ),
    Call(
        pattern="$JS.API.STREAM.MSG.GET.REQ",
        callers=_LOOK,
        purpose="A prompt that waits.",
    ),
    Call(pattern="$JS.API.DIRECT.GET.RUN", callers=_READ_LOG, purpose="Read the log in batches."),
    Call(
        pattern="$JS.API.DIRECT.GET.KV_workers",
        callers=_LOOK,
        purpose="Who is present.",
    ),
    Call(
        pattern="$JS.API.CONSUMER.CREATE.REQ.<token>.m1.req.<model>.>",
        callers=_LOOK,
        purpose="Declare the consumer of a model; with a backup, of those that were known.",
    ),
    Call(
        pattern="$JS.API.CONSUMER.INFO.REQ.<token>",
        callers=_LOOK,
        purpose="How many prompts of a model wait.",
    ),
    Call(pattern="$JS.API.CONSUMER.NAMES.REQ", callers=_LOOK, purpose="Which models are known."),
    Call(
        pattern="$JS.API.CONSUMER.MSG.NEXT.REQ.<token>",
        callers=(Role.WORKER,),
        purpose="Pull prompts of a model.",
    ),
    Call(
        pattern="$JS.ACK.REQ.<token>.1.2.3.4.5",
        callers=(Role.GATEWAY, Role.WORKER),
        purpose="Acknowledge a prompt, or say that it is worked on; give a dead worker's back.",
    ),
    Call(
        pattern="$JS.API.STREAM.SNAPSHOT.<kept>",
        callers=(Role.OPERATOR,),
        purpose="Take a backup of a stream.",
    ),
    Call(
        pattern="$JS.SNAPSHOT.ACK.<kept>.<token>.262144.1",
        callers=(Role.OPERATOR,),
        purpose="Ask for more of it.",
    ),
    Call(
        pattern="$JS.API.STREAM.RESTORE.<kept>",
        callers=(Role.OPERATOR,),
        purpose="Make a stream of a backup, where there is none of that name.",
    ),
    Call(
        pattern="$JS.SNAPSHOT.RESTORE.<kept>.<token>",
        callers=(Role.OPERATOR,),
        purpose="Hand it over, piece by piece.",
    ),
    Call(pattern="$JS.API.INFO", callers=(Role.OPERATOR,), purpose="Use and limits of storage."),
    Call(pattern="$JS.API.STREAM.NAMES", callers=(Role.OPERATOR,), purpose="Which streams exist."),
    Call(pattern="$JS.API.STREAM.DELETE.RUN", callers=(), purpose="Nobody deletes a stream."),
    Call(pattern="$JS.API.STREAM.PURGE.RUN", callers=(), purpose="Nobody empties a stream."),
    Call(
        pattern="$JS.API.STREAM.MSG.DELETE.RUN",
        callers=(),
        purpose="Nobody takes anything out of the log.",
    ),
    Call(
        pattern="$JS.API.STREAM.MSG.DELETE.REQ",
        callers=(Role.GATEWAY,),
        purpose="Take out of the queue what nobody has to work on, and nobody is handed any more.",
    ),
    Call(
        pattern="$JS.API.STREAM.SNAPSHOT.KV_workers",
        callers=(),
        purpose="Nobody keeps who was present: all say it again every two seconds.",
    ),
    Call(
        pattern="$JS.API.CONSUMER.CREATE.RUN.<token>",
        callers=(),
        purpose="Nobody consumes the log: it is read, or heard as it is republished.",
    ),
    Call(
        pattern="$JS.API.CONSUMER.DELETE.REQ.<token>",
        callers=(),
        purpose="Nobody deletes a model's consumer.",
    ),
)
"""The calls of JetStream's API that the mesh needs, and those that nobody may make."""
