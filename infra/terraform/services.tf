locals {
  services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "serviceusage.googleapis.com",
      "storage.googleapis.com",
    ],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    var.domain == null && var.redis.mode == "external" ? [] : ["compute.googleapis.com"],
    var.redis.mode == "external" ? [] : ["redis.googleapis.com"],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  service = each.value
  # Another use of the project may need them; switching them off could delete what is theirs.
  disable_on_destroy = false
}
