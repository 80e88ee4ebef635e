variable "alerts" {
  description = "Who hears of trouble: e-mail addresses, and whether a Pub/Sub topic with a subscription carries alerts to a paging system. Nobody named: no alerts, because Google means to charge for each."
  type = object({
    emails = optional(set(string), [])
    topic  = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for email in var.alerts.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "alerts.emails must be e-mail addresses such as you@example.com."
  }
}

variable "api_max_instances" {
  description = "The most instances of the api at once, which bounds what it can cost."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.api_max_instances >= 1 && var.api_max_instances <= 100 && floor(var.api_max_instances) == var.api_max_instances
    error_message = "api_max_instances must be a whole number from 1 to 100."
  }
}

variable "budget" {
  description = "A monthly budget that warns at 50, 90 and 100 % of `amount`; it warns, it does not stop anything. Needs the right to make budgets on the billing account."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string, "USD")
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account must look like 012345-6789AB-CDEF01; `gcloud billing accounts list` shows yours."
  }

  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, false)
    error_message = "budget.amount must be a whole number of at least 1."
  }

  validation {
    condition     = var.budget == null || can(regex("^[A-Z]{3}$", var.budget.currency))
    error_message = "budget.currency must be the billing account's currency as three letters, such as USD."
  }
}

variable "demo" {
  description = "Whether a public bucket serves the demo page. Off: serve your own page and name its origin in `origins`."
  type        = bool
  default     = true
  nullable    = false
}

variable "domain" {
  description = "A domain of yours for a load balancer in front of the api (/api) and the relays (/relay-0...). Null: the addresses that Cloud Run gives, for nothing; the load balancer costs about 18 USD a month."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain))
    error_message = "domain must be a bare name in small letters such as chat.example.com, without https:// and without a path."
  }
}

variable "doze" {
  description = "Seconds until an unattended page gives up its socket (`hidden_s` out of sight, `idle_s` untouched), and how long its seat is then kept (`away_s`); `kick_idle` removes also who stays connected for idle_s + away_s without doing anything. What is not named stays as docs/limits.md has it."
  type = object({
    hidden_s  = optional(number)
    idle_s    = optional(number)
    away_s    = optional(number)
    kick_idle = optional(bool)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for s in [var.doze.hidden_s, var.doze.idle_s] : s == null ? true : s >= 1 && s <= 86400 && floor(s) == s])
    error_message = "doze.hidden_s and doze.idle_s must be whole seconds from 1 to 86400."
  }

  validation {
    condition     = var.doze.away_s == null ? true : var.doze.away_s >= 15 && var.doze.away_s <= 21600 && floor(var.doze.away_s) == var.doze.away_s
    error_message = "doze.away_s must be whole seconds from 15 to 21600: a seat is not kept for longer than six hours."
  }
}

variable "functions_archive" {
  description = "Path of the functions' archive; its name holds the hash of its content. `make archive` makes it."
  type        = string

  validation {
    condition     = can(regex("(^|/)functions-[0-9a-f]{16}\\.zip$", var.functions_archive))
    error_message = "functions_archive must be a file that `make archive` made: functions-<16 hex digits>.zip. Without the hash in its name a change would not be deployed."
  }
}

variable "integrations" {
  description = "Whom people may sign in with and talk over; each is off until it is here. `firebase` and `nextauth` for accounts of yours, `vroid` for VRoid Hub, `livekit` for voice. Their secrets go into `secrets`."
  type = object({
    firebase = optional(object({ project = string }))
    livekit  = optional(object({ url = string }))
    nextauth = optional(object({ cookie = optional(string) }))
    vroid    = optional(object({ client_id = string, return_urls = set(string) }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.integrations.firebase == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.integrations.firebase.project))
    error_message = "integrations.firebase.project must be the id of the Firebase project whose tokens are accepted."
  }

  validation {
    condition     = var.integrations.livekit == null || can(regex("^wss://[^/?#@\\s]+$", var.integrations.livekit.url))
    error_message = "integrations.livekit.url must be the LiveKit server's address, as in wss://voice.example.com, without a path."
  }

  validation {
    condition     = try(var.integrations.nextauth.cookie, null) == null || can(regex("^[A-Za-z0-9_.-]+$", var.integrations.nextauth.cookie))
    error_message = "integrations.nextauth.cookie must be the name of the session cookie; leave it out where the site uses the usual one."
  }

  validation {
    condition     = var.integrations.vroid == null || try(length(var.integrations.vroid.client_id) > 0 && length(var.integrations.vroid.return_urls) > 0, false)
    error_message = "integrations.vroid needs the client_id that VRoid Hub gave you, and at least one address in return_urls to come back to."
  }

  validation {
    condition     = var.integrations.vroid == null || alltrue([for url in try(var.integrations.vroid.return_urls, []) : can(regex("^https://[^?#,\\s]+$", url))])
    error_message = "integrations.vroid.return_urls must be plain https addresses of your pages, without ? and #."
  }
}

variable "keep_data" {
  description = "Whether the Firestore database outlives `terraform destroy` and is protected from deletion."
  type        = bool
  default     = true
  nullable    = false
}

variable "network" {
  description = "The private network for redis.mode = \"memorystore\": the addresses its instances may take, /26 or larger. Made only when needed."
  type        = object({ cidr = string })
  default     = null

  validation {
    condition     = var.network == null || try(can(cidrnetmask(var.network.cidr)) && tonumber(split("/", var.network.cidr)[1]) <= 26, false)
    error_message = "network.cidr must be an IPv4 range of at least /26, such as 10.8.0.0/26: Cloud Run takes two addresses for each instance."
  }

  validation {
    condition     = var.redis.mode != "memorystore" || var.network != null
    error_message = "redis.mode = \"memorystore\" is reached over a private network only: set network = { cidr = \"10.8.0.0/26\" } or another free range, or use redis.mode = \"external\"."
  }
}

variable "origins" {
  description = "Exact origins of the pages that may use this V-Chat, such as https://chat.example.com. The demo's is added when `demo` is on."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.origins : can(regex("^(https://[a-z0-9.-]+(:[0-9]+)?|http://localhost(:[0-9]+)?)$", origin))])
    error_message = "origins must be exact: https://host or https://host:port in small letters, without a path, slash at the end or wildcard; http only for localhost."
  }

  validation {
    condition     = var.demo || length(var.origins) > 0
    error_message = "Without the demo no page could connect: name at least one origin in `origins`, or set demo = true."
  }
}

variable "project_id" {
  description = "The Google Cloud project, best one of its own: Pub/Sub permissions cannot be narrowed to the rooms' topics by name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id (6 to 30 small letters, digits and hyphens, a letter first), not its name or number; `gcloud projects list` shows yours."
  }
}

variable "project_number" {
  description = "The project's number, from which addresses are known before anything exists: `gcloud projects describe PROJECT --format='value(projectNumber)'`."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number must be the project's number, digits only; `gcloud projects describe PROJECT` shows it."
  }
}

variable "redis" {
  description = "Where the volatile state lives: `external` (any Redis 7 by URL, for instance one that costs nothing idle) or `memorystore` (about 36 USD a month for each GiB; twice that when highly available)."
  type = object({
    mode             = optional(string, "external")
    memory_gb        = optional(number, 1)
    highly_available = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["external", "memorystore"], var.redis.mode)
    error_message = "redis.mode must be \"external\" or \"memorystore\"."
  }

  validation {
    condition     = var.redis.memory_gb >= 1 && var.redis.memory_gb <= 300 && floor(var.redis.memory_gb) == var.redis.memory_gb
    error_message = "redis.memory_gb must be a whole number from 1 to 300."
  }
}

variable "region" {
  description = "The region of everything. Prices and distances differ; europe-west1, us-central1 and asia-northeast1 are among the cheaper ones."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.region))
    error_message = "region must be a region such as europe-west1: not a zone (europe-west1-b), a continent or a city; `gcloud run regions list` shows all."
  }
}

variable "relay" {
  description = "The relays: `shards` services (a room lives on one), each with at most `max_instances` instances of `cpu` and `memory`, each with at most `sockets` WebSockets."
  type = object({
    shards        = optional(number, 1)
    max_instances = optional(number, 1)
    sockets       = optional(number, 500)
    cpu           = optional(number, 1)
    memory        = optional(string, "512Mi")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.relay.shards >= 1 && var.relay.shards <= 50 && floor(var.relay.shards) == var.relay.shards
    error_message = "relay.shards must be a whole number from 1 to 50: with none, nobody could enter a room."
  }

  validation {
    condition     = var.relay.max_instances >= 1 && var.relay.max_instances <= 20 && floor(var.relay.max_instances) == var.relay.max_instances
    error_message = "relay.max_instances must be a whole number from 1 to 20; raise relay.shards first: a room that is spread over instances costs Pub/Sub traffic."
  }

  validation {
    condition     = var.relay.sockets >= 10 && var.relay.sockets <= 1000 && floor(var.relay.sockets) == var.relay.sockets
    error_message = "relay.sockets must be a whole number from 10 to 1000, which is Cloud Run's most for one instance."
  }

  validation {
    condition     = contains([1, 2, 4], var.relay.cpu)
    error_message = "relay.cpu must be 1, 2 or 4: below one CPU, Cloud Run allows an instance a single socket."
  }

  validation {
    condition     = can(regex("^(512Mi|1Gi|2Gi|4Gi)$", var.relay.memory)) && (var.relay.cpu < 4 || contains(["2Gi", "4Gi"], var.relay.memory))
    error_message = "relay.memory must be 512Mi, 1Gi, 2Gi or 4Gi, and at least 2Gi with 4 CPUs."
  }
}

variable "relay_image" {
  description = "The relay's container image with a tag or digest. `make deploy` builds it and names its digest; the default only lets a first plan be made."
  type        = string
  default     = "us-docker.pkg.dev/cloudrun/container/hello:v1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*\\.[a-z]+(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.relay_image)) && !endswith(var.relay_image, ":latest")
    error_message = "relay_image must be a registry's image with a digest or a tag, such as europe-west1-docker.pkg.dev/my-project/vchat/relay:abc123; \"latest\" would hide what is running."
  }
}

variable "role_suffix" {
  description = "Ends the ids of V-Chat's own roles, as in \"_2\". For a deployment 7 to 37 days after a destroy, while Google keeps the old ids back."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.]{0,20}$", var.role_suffix))
    error_message = "role_suffix must be at most 20 letters, digits, dots and underscores, such as _2."
  }
}

variable "secret_versions" {
  description = "Raise a secret's number, as in { VCHAT_SIGNING_KEYS = 2 }, to have its value written anew."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.secret_versions), keys(local.secrets))) == 0
    error_message = "secret_versions names a secret that this configuration does not have; it has ${join(", ", keys(local.secrets))}."
  }

  validation {
    condition     = alltrue([for version in values(var.secret_versions) : version >= 1 && floor(version) == version])
    error_message = "secret_versions must be whole numbers from 1, where every secret begins."
  }
}

variable "secrets" {
  description = "The secrets' values by the names of their settings: VCHAT_SIGNING_KEYS (a private JWK set), REDIS_URL with an external Redis, and what the integrations need: LIVEKIT_API_KEY and LIVEKIT_API_SECRET, NEXTAUTH_SECRET, VROID_CLIENT_SECRET and VCHAT_VAULT_KEY. Kept in Secret Manager, never in the state; `make deploy` finds them in the environment or among the deployed ones."
  type        = map(string)
  sensitive   = true
  ephemeral   = true
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(local.secrets), keys(var.secrets))) == 0
    error_message = "secrets must have a value for each of ${join(", ", keys(local.secrets))}. With `make deploy`, export the missing one under its name."
  }

  validation {
    condition     = length(setsubtract(keys(var.secrets), local.known_secrets)) == 0
    error_message = "secrets has a name that no configuration reads; known are ${join(", ", local.known_secrets)}."
  }

  validation {
    condition     = var.redis.mode == "external" || !contains(keys(var.secrets), "REDIS_URL")
    error_message = "redis.mode = \"memorystore\" makes a Redis of its own; leave REDIS_URL out of secrets."
  }

  validation {
    condition     = !contains(keys(var.secrets), "REDIS_URL") || can(regex("^rediss?://[^/\\s]+", var.secrets["REDIS_URL"]))
    error_message = "REDIS_URL must start with redis:// or rediss://, as in rediss://user:password@host:6379."
  }

  validation {
    condition     = !can(regex("(@|//)(localhost|127\\.0\\.0\\.1|\\[::1\\])", lookup(var.secrets, "REDIS_URL", "")))
    error_message = "REDIS_URL names a Redis on this machine, which Google cannot reach."
  }

  validation {
    condition     = !contains(keys(var.secrets), "VCHAT_SIGNING_KEYS") || try(length(jsondecode(var.secrets["VCHAT_SIGNING_KEYS"]).keys) >= 1, false)
    error_message = "VCHAT_SIGNING_KEYS must be a private JWK set with at least one key."
  }
}
