"""The only room that knows nats: append and follow logs, pull, presence, request-reply."""
