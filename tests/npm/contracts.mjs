/**
 * Reads {secret, claims, cookie, livekit: {key, secret, token, body}} and answers what the official
 * libraries make of it: sessions they mint, what they read in our voice token, a webhook they sign.
 */
import { createHash } from "node:crypto";
import { encode as encodeV5 } from "@auth/core/jwt";
import { AccessToken, TokenVerifier } from "livekit-server-sdk";
import nextAuth from "next-auth/jwt";

let input = "";
for await (const chunk of process.stdin) input += chunk;
const { secret, claims, cookie, livekit } = JSON.parse(input);

const hook = new AccessToken(livekit.key, livekit.secret);
hook.sha256 = createHash("sha256").update(livekit.body).digest("base64");

console.log(
  JSON.stringify({
    v4: await nextAuth.encode({ token: claims, secret }),
    v5: await encodeV5({ token: claims, secret, salt: cookie }),
    voice: await new TokenVerifier(livekit.key, livekit.secret).verify(livekit.token),
    hook: await hook.toJwt(),
  }),
);
