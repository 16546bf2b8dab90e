"""Signing in through another site: OpenID Connect, and OAuth 2.0 where that is all there is."""
