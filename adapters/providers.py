"""The providers that the settings ask for, each imported only when it is."""

from vchat.hub import HubAccess
from vchat.identity import IdentityProvider
from vchat.provider_settings import ProviderSettings
from vchat.voice import Voice


def identity_providers(settings: ProviderSettings) -> dict[str, IdentityProvider]:
    found: dict[str, IdentityProvider] = {}
    if settings.firebase_project is not None:
        from adapters.identity_firebase import FirebaseTokens

        found["firebase"] = FirebaseTokens(settings.firebase_project)
    if settings.nextauth_secret is not None:
        from adapters.identity_nextauth import NextAuthSessions

        found["nextauth"] = NextAuthSessions(
            settings.nextauth_secret, cookie=settings.nextauth_cookie
        )
    return found


def hub_access(settings: ProviderSettings) -> HubAccess | None:
    if settings.vroid is None:
        return None
    from adapters.vroid_hub import HUB, VroidHub

    return HubAccess(
        hub=VroidHub(
            settings.vroid.client_id,
            settings.vroid.client_secret,
            base=settings.vroid.hub or HUB,
        ),
        vault=settings.vroid.vault,
        return_urls=settings.vroid.return_urls,
    )


def voice(settings: ProviderSettings) -> Voice | None:
    if settings.livekit is None:
        return None
    from adapters.voice_livekit import LiveKit

    return LiveKit(settings.livekit.url, settings.livekit.key, settings.livekit.secret)
