# Values are write-only: they pass through Terraform into Secret Manager and stay out of plan and state.

locals {
  secret_names = toset(var.redis.mode == "external" ? ["redis_url", "signing_keys"] : ["signing_keys"])
  secret_readers = merge(
    { "api/signing_keys" = local.members["api"] },
    var.redis.mode != "external" ? {} : {
      "api/redis_url"     = local.members["api"]
      "janitor/redis_url" = local.members["janitor"]
      "relay/redis_url"   = local.members["relay"]
    },
  )
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secret_names

  secret_id = "vchat-${replace(each.value, "_", "-")}"
  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_version" "signing_keys" {
  secret                 = google_secret_manager_secret.this["signing_keys"].id
  secret_data_wo         = var.signing_keys
  secret_data_wo_version = lookup(var.secret_versions, "signing_keys", 1)

  # The new value stands before the services are told of it; the old one goes when they no longer read it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_secret_manager_secret_version" "redis_url" {
  count = var.redis.mode == "external" ? 1 : 0

  secret                 = google_secret_manager_secret.this["redis_url"].id
  secret_data_wo         = var.redis_url
  secret_data_wo_version = lookup(var.secret_versions, "redis_url", 1)

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.secret_readers

  secret_id = google_secret_manager_secret.this[split("/", each.key)[1]].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
