"""People sign in through a provider of OpenID Connect that others wrote, and that is certified.

It is `oidc-provider` of npm, with its own pages. It is strict: PKCE, one use of a code, the
client's secret, what may be asked for. Its exact versions stand in `package-lock.json`, without
addresses.
"""
