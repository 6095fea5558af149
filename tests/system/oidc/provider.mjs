// A provider with three people, for one client: node provider.mjs PORT REDIRECT_URI
import { Provider } from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const GROUPS = { ada: ["staff", "flip-admins"], bob: ["flip-viewers"], eve: ["staff"] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: "flip", client_secret: "a secret of the two", redirect_uris: [redirectUri] },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  pkce: { required: () => true },
  cookies: { keys: ["for tests only"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: `subject-${id}`, preferred_username: id, groups: GROUPS[id] ?? [] }),
  }),
});

provider.listen(Number(port), "127.0.0.1");
