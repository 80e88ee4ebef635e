# Which secrets there are. With the variables alone it can be said which of them are refused.

locals {
  # Each secret by the name of its setting, and who reads it.
  secrets = merge(
    { VCHAT_SIGNING_KEYS = ["api"] },
    var.redis.mode == "external" ? { REDIS_URL = ["api", "janitor", "relay"] } : {},
    var.integrations.livekit == null ? {} : { LIVEKIT_API_KEY = ["api"], LIVEKIT_API_SECRET = ["api"] },
    var.integrations.nextauth == null ? {} : { NEXTAUTH_SECRET = ["api"] },
    var.integrations.vroid == null ? {} : { VROID_CLIENT_SECRET = ["api"], VCHAT_VAULT_KEY = ["api"] },
  )
  secret_ids    = { for name, readers in local.secrets : name => "vchat-${trimprefix(replace(lower(name), "_", "-"), "vchat-")}" }
  known_secrets = ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "NEXTAUTH_SECRET", "REDIS_URL", "VCHAT_SIGNING_KEYS", "VCHAT_VAULT_KEY", "VROID_CLIENT_SECRET"]
}
