"""Google's keys, and Firebase ID tokens signed with them."""

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

NOW = 1_795_464_300
PROJECT = "v-chat-test"
KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
CLAIMS = {
    "iss": f"https://securetoken.google.com/{PROJECT}",
    "aud": PROJECT,
    "sub": "firebase-uid-1",
    "user_id": "firebase-uid-1",
    "auth_time": NOW - 100,
    "iat": NOW - 10,
    "exp": NOW + 3590,
    "name": "V Tester",
    "firebase": {"identities": {}, "sign_in_provider": "google.com"},
}


def token(
    changes: dict[str, Any] | None = None,
    *,
    without: str = "",
    key: Any = KEY,
    alg: str = "RS256",
    **header: Any,
) -> str:
    claims = {**CLAIMS, **(changes or {})}
    claims.pop(without, None)
    return jwt.encode(claims, key, algorithm=alg, headers={"kid": "k1", **header})


class Google:
    """Serves the keys, or nothing."""

    def __init__(self) -> None:
        self.fetches = 0
        self.up = True

    async def keys(self, request: Request) -> Response:
        self.fetches += 1
        if not self.up:
            return Response(status_code=503)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**jwk, "kid": "k1", "alg": "RS256", "use": "sig"}]})

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/jwk", self.keys)])
