// A provider that the OpenID Foundation has certified, with its own pages for signing in:
// node server.mjs PORT CLIENT_SECRET REDIRECT_URI. Whoever signs in as NAME is NAME@example.org.
import { Provider } from 'oidc-provider';

const [port, secret, redirect] = process.argv.slice(2);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'mesh', client_secret: secret, redirect_uris: [redirect] }],
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true },
  cookies: { keys: [secret] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: id, email: `${id}@example.org`, email_verified: true }),
  }),
});

provider.listen(Number(port), '127.0.0.1');
