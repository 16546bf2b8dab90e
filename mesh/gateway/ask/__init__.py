"""`POST /v1/ask`: one question of a client's user, with the history that the client sends along."""
