# Values are write-only: they pass through Terraform into Secret Manager and stay out of plan and state.

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id = local.secret_ids[each.key]
  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_version" "this" {
  for_each = local.secrets

  secret                 = google_secret_manager_secret.this[each.key].id
  secret_data_wo         = var.secrets[each.key]
  secret_data_wo_version = lookup(var.secret_versions, each.key, 1)

  # The new value stands before the services are told of it; the old one goes when they no longer read it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = merge([for secret, readers in local.secrets : { for reader in readers : "${reader}/${secret}" => secret }]...)

  secret_id = google_secret_manager_secret.this[each.value].id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members[split("/", each.key)[0]]
}
