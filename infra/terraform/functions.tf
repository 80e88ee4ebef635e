# The api and the janitor: one archive, two entry points.

resource "google_storage_bucket" "source" {
  name                        = "${var.project_id}-vchat-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # can be made again from the repository

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Builds of the relay put their source here and never need it again.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 7
      matches_prefix = ["relay/"]
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_object" "functions" {
  # The name holds the hash: with a fixed name a new archive would not be a change to the functions.
  name   = basename(var.functions_archive)
  bucket = google_storage_bucket.source.name
  source = var.functions_archive
}

locals {
  provider_settings = { for name, value in {
    FIREBASE_PROJECT  = try(var.integrations.firebase.project, null)
    LIVEKIT_URL       = try(var.integrations.livekit.url, null)
    NEXTAUTH_COOKIE   = try(var.integrations.nextauth.cookie, null)
    VCHAT_RETURN_URLS = try(join(",", sort(setunion(var.integrations.vroid.return_urls, var.demo ? ["${local.demo_origin}/index.html"] : []))), null)
    VROID_CLIENT_ID   = try(var.integrations.vroid.client_id, null)
  } : name => value if value != null }

  functions = {
    api = {
      concurrency   = 80
      max_instances = var.api_max_instances
      timeout_s     = 30
      ingress       = var.domain == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB"
      environment = merge(local.provider_settings, {
        VCHAT_ISSUER     = local.api_url
        VCHAT_ORIGINS    = join(",", local.origins)
        VCHAT_RELAY_URLS = join(",", local.relay_urls)
        VCHAT_PROXIES    = var.domain == null ? "1" : "2" # who appends to X-Forwarded-For
        # Only the secret's name: the api reads its newest version again and again, so that keys turn over without a deployment.
        VCHAT_SIGNING_KEYS = "projects/${var.project_id}/secrets/${local.secret_ids["VCHAT_SIGNING_KEYS"]}"
      })
    }
    janitor = {
      concurrency   = 1
      max_instances = 1 # two at once would only do the same work twice
      timeout_s     = 300
      ingress       = "ALLOW_INTERNAL_ONLY"
      environment   = {}
    }
  }
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.functions

  name     = "vchat-${each.key}"
  location = var.region

  build_config {
    runtime           = "python311" # what the tests run, and relay/Dockerfile
    entry_point       = each.key
    service_account   = "projects/${var.project_id}/serviceAccounts/${local.emails["build"]}"
    docker_repository = google_artifact_registry_repository.images.id
    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.functions.name
      }
    }
  }

  service_config {
    service_account_email            = local.emails[each.key]
    min_instance_count               = 0
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    available_cpu                    = "1" # below one CPU, one request at a time
    available_memory                 = "512Mi"
    timeout_seconds                  = each.value.timeout_s
    ingress_settings                 = each.value.ingress
    all_traffic_on_latest_revision   = true

    environment_variables = merge(
      {
        VCHAT_ENV            = "production"
        GOOGLE_CLOUD_PROJECT = var.project_id
        FIRESTORE_DATABASE   = google_firestore_database.main.name
      },
      each.value.environment,
      local.memorystore == 1 ? { REDIS_URL = local.memorystore_url } : {},
    )

    dynamic "secret_environment_variables" {
      for_each = { for secret, readers in local.secrets : secret => google_secret_manager_secret_version.this[secret].version if contains(readers, each.key) && secret != "VCHAT_SIGNING_KEYS" }
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = google_secret_manager_secret.this[secret_environment_variables.key].secret_id
        version    = secret_environment_variables.value
      }
    }

    direct_vpc_egress = local.memorystore == 1 ? "VPC_EGRESS_PRIVATE_RANGES_ONLY" : null
    dynamic "direct_vpc_network_interface" {
      for_each = google_compute_subnetwork.private
      content {
        network    = google_compute_network.private[0].id
        subnetwork = direct_vpc_network_interface.value.id
      }
    }
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build,
    google_project_iam_member.firestore,
    google_project_iam_member.pubsub,
    google_secret_manager_secret_iam_member.reader,
    google_secret_manager_secret_version.this,
  ]
}

# Guests sign in here: the api judges every request itself.
resource "google_cloud_run_v2_service_iam_member" "api_public" {
  name     = google_cloudfunctions2_function.this["api"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}
