"""How long the part of an id is that says under which idempotency key a thing was made."""

HALF = 16
"""Characters of the first half of such an id; the second says what was asked for."""
