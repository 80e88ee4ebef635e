# The relays. Cloud Run cannot address an instance, so a room is given to one of several equal services.

locals {
  # What the relays' estimates of a room's cost go by: the first step of traffic to the internet.
  traffic_usd_per_gib = jsondecode(file("${path.module}/../prices.json")).google.egress_gib.price[0][1]
}

resource "google_cloud_run_v2_service" "relay" {
  for_each = toset(local.relay_names)

  name                = "vchat-${each.key}"
  location            = var.region
  ingress             = var.domain == null ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  deletion_protection = false # holds nothing that lasts

  template {
    service_account                  = local.emails["relay"]
    timeout                          = "3600s" # a WebSocket is one request; this is Cloud Run's most
    max_instance_request_concurrency = var.relay.sockets
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2" # fan-out is system calls
    # Affinity is a cookie and best effort; the ticket's url already leads to the room's service.
    session_affinity = false

    scaling {
      min_instance_count = 0
      max_instance_count = var.relay.max_instances
    }

    containers {
      image = var.relay_image

      resources {
        limits            = { cpu = tostring(var.relay.cpu), memory = var.relay.memory }
        cpu_idle          = true # no CPU without a socket: this is what makes an idle relay free
        startup_cpu_boost = true # a cold start is imports
      }

      ports {
        name           = "http1" # WebSockets do not pass end-to-end HTTP/2
        container_port = 8080
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
        http_get {
          path = "/live"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/live"
        }
      }

      dynamic "env" {
        for_each = merge(
          {
            VCHAT_ENV            = "production"
            VCHAT_ISSUER         = local.api_url
            VCHAT_JWKS_URL       = "${local.api_url}/.well-known/jwks.json"
            VCHAT_ORIGINS        = join(",", local.origins)
            VCHAT_PROXIES        = var.domain == null ? "1" : "2" # who appends to X-Forwarded-For
            VCHAT_RELAY_NAME     = each.key
            VCHAT_USD_PER_GIB    = tostring(local.traffic_usd_per_gib)
            GOOGLE_CLOUD_PROJECT = var.project_id
          },
          local.memorystore == 1 ? { REDIS_URL = local.memorystore_url } : {},
          {
            for name, value in {
              VCHAT_DOZE_HIDDEN_S = var.doze.hidden_s
              VCHAT_DOZE_IDLE_S   = var.doze.idle_s
              VCHAT_AWAY_S        = var.doze.away_s
              VCHAT_KICK_IDLE     = var.doze.kick_idle == null ? null : var.doze.kick_idle ? "yes" : "no"
            } : name => tostring(value) if value != null
          },
        )
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = { for secret, readers in local.secrets : secret => google_secret_manager_secret_version.this[secret].version if contains(readers, "relay") }
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.this[env.key].secret_id
              version = env.value
            }
          }
        }
      }
    }

    dynamic "vpc_access" {
      for_each = google_compute_subnetwork.private
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.private[0].id
          subnetwork = vpc_access.value.id
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.pubsub,
    google_secret_manager_secret_iam_member.reader,
  ]
}

# Browsers come without a Google account; the relay judges the ticket.
resource "google_cloud_run_v2_service_iam_member" "relay_public" {
  for_each = google_cloud_run_v2_service.relay

  name     = each.value.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}
