"""OpenTelemetry: what became of a request, from HTTP to the engine, told to a collector."""
