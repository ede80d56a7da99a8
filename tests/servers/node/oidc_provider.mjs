// A throw-away OpenID Connect provider on loopback; tests/servers/oidc_provider.py starts it.
//
// usage: node oidc_provider.mjs JSON, with {"secret", "callback", "audience", "scope", "users"} and
// perhaps {"logoutTokens", "signedOut"}: where the client takes logout tokens and signed-out people.
// Prints {"issuer"} on one line when it is ready, and ends with its standard input.
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const users = new Map(Object.entries(settings.users));
const scopes = ['openid', 'offline_access', 'profile', 'email', 'groups'];
// One client for each algorithm, as a product has one registration with one setting.
const algorithms = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};
const on = { enabled: true };
const off = { enabled: false };

const server = http.createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const logoutTokens = [];

function makeKeys(generation) {
  return Object.entries(algorithms).map(([alg, [type, options]]) => {
    const { privateKey } = generateKeyPairSync(type, options);
    const kid = `${alg.toLowerCase()}-${generation}`;
    return { ...privateKey.export({ format: 'jwk' }), alg, kid, use: 'sig' };
  });
}

function clients() {
  const people = Object.keys(algorithms).map((alg) => ({
    client_id: `syncd-${alg.toLowerCase()}`,
    client_secret: settings.secret,
    redirect_uris: [settings.callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    id_token_signed_response_alg: alg,
    backchannel_logout_uri: settings.logoutTokens ?? `${issuer}/test/logout-token`,
    post_logout_redirect_uris: settings.signedOut ? [settings.signedOut] : [],
    backchannel_logout_session_required: true,
  }));
  const shared = {
    ...people[0],
    client_id: 'syncd-hs256',
    id_token_signed_response_alg: 'HS256',
  };
  const service = {
    client_id: 'a-service',
    client_secret: settings.secret,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  };
  return [...people, shared, service];
}

function makeProvider(keys) {
  const provider = new Provider(issuer, {
    clients: clients(),
    jwks: { keys },
    cookies: { keys: ['throw-away'] },
    pkce: { required: () => true },
    scopes,
    claims: {
      openid: ['sub', 'sid'],
      profile: ['name', 'given_name', 'family_name', 'preferred_username', 'department'],
      email: ['email', 'email_verified'],
      groups: ['groups', 'roles', 'realm_access', '_claim_names', '_claim_sources'],
    },
    // Claims of scopes in the ID token, as most products have them.
    conformIdTokenClaims: false,
    enabledJWA: {
      idTokenSigningAlgValues: [...Object.keys(algorithms), 'HS256'],
    },
    features: {
      backchannelLogout: on,
      clientCredentials: on,
      devInteractions: on,
      rpInitiatedLogout: settings.signedOut ? on : off,
      resourceIndicators: {
        ...on,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: settings.scope,
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    // Its own fetch goes to no loopback address.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    findAccount: (ctx, sub) =>
      users.has(sub)
        ? { accountId: sub, claims: () => ({ sub, ...users.get(sub) }) }
        : undefined,
    async loadExistingGrant(ctx) {
      // Nobody is asked for consent.
      const { client, session } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({
        clientId: client.clientId,
        accountId: session.accountId,
      });
      grant.addOIDCScope(scopes.join(' '));
      grant.addResourceScope(settings.audience, settings.scope);
      await grant.save();
      return grant;
    },
    issueRefreshToken: () => true,
    ttl: {
      AccessToken: 300,
      AuthorizationCode: 60,
      ClientCredentials: 300,
      Grant: 3600,
      IdToken: 300,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
  for (const event of ['server_error', 'backchannel.error', 'grant.error', 'authorization.error']) {
    provider.on(event, (ctx, error) =>
      console.error(event, error.error_description || error.message));
  }
  return provider;
}

let generation = 1;
let keys = makeKeys(generation);
let provider = makeProvider(keys);
let answer = provider.callback();

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

// PUT and DELETE users/SUBJECT, POST rotate {"keep"}, POST log-out {"client", "subject", "session"}.
async function control(request) {
  const body = await bodyOf(request);
  const [what, subject] = request.url.split('/').slice(2).map(decodeURIComponent);
  switch (`${request.method} ${what}`) {
    case 'PUT users':
      users.set(subject, JSON.parse(body));
      return {};
    case 'DELETE users':
      return { removed: users.delete(subject) };
    case 'POST rotate': {
      generation += 1;
      // The first key that fits signs.
      keys = [...makeKeys(generation), ...(JSON.parse(body).keep ? keys : [])];
      provider = makeProvider(keys);
      answer = provider.callback();
      return { generation };
    }
    case 'POST log-out': {
      const { client, subject: sub, session } = JSON.parse(body);
      logoutTokens.length = 0;
      await (await provider.Client.find(client)).backchannelLogout(sub, session);
      return { logout_token: logoutTokens[0] };
    }
    case 'POST logout-token':
      logoutTokens.push(new URLSearchParams(body).get('logout_token'));
      return {};
    default:
      throw new Error(`unknown: ${request.method} ${request.url}`);
  }
}

server.on('request', async (request, response) => {
  if (!request.url.startsWith('/test/')) {
    answer(request, response);
    return;
  }
  try {
    const done = JSON.stringify(await control(request));
    response.setHeader('content-type', 'application/json').end(done);
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
console.log(JSON.stringify({ issuer }));
process.stdin.on('end', () => process.exit(0)).resume();
