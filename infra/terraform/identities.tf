# One service account for each thing that runs, each with no more than its adapters call.

locals {
  accounts = {
    api       = "V-Chat api"
    build     = "V-Chat builds"
    janitor   = "V-Chat janitor"
    relay     = "V-Chat relays"
    scheduler = "V-Chat scheduler, which wakes the janitor"
  }
  # Written out of what is known before apply, so that a plan shows who gets what.
  emails  = { for name, account in google_service_account.this : name => "${account.account_id}@${var.project_id}.iam.gserviceaccount.com" }
  members = { for name, email in local.emails : name => "serviceAccount:${email}" }
}

resource "google_service_account" "this" {
  for_each = local.accounts

  account_id   = "vchat-${each.key}"
  display_name = each.value
  depends_on   = [google_project_service.this]
}

# The rooms' topics come and go while the system runs, and IAM conditions do not see Pub/Sub names:
# these hold for every topic of the project, hence a project of its own for V-Chat.
locals {
  pubsub_permissions = {
    api = ["pubsub.topics.publish"]
    janitor = [
      "pubsub.subscriptions.delete",
      "pubsub.subscriptions.list",
      "pubsub.topics.delete",
      "pubsub.topics.list",
    ]
    relay = [
      "pubsub.subscriptions.consume",
      "pubsub.subscriptions.create",
      "pubsub.subscriptions.delete",
      "pubsub.subscriptions.get",
      "pubsub.topics.attachSubscription",
      "pubsub.topics.create",
      "pubsub.topics.publish",
    ]
  }
}

resource "google_project_iam_custom_role" "pubsub" {
  for_each = local.pubsub_permissions

  role_id     = "vchat_${each.key}_pubsub${var.role_suffix}"
  title       = "V-Chat ${each.key}: Pub/Sub"
  permissions = each.value
}

resource "google_project_iam_member" "pubsub" {
  for_each = local.pubsub_permissions

  project = var.project_id
  role    = "projects/${var.project_id}/roles/${google_project_iam_custom_role.pubsub[each.key].role_id}"
  member  = local.members[each.key]
}

resource "google_project_iam_member" "firestore" {
  for_each = toset(["api", "janitor"])

  project = var.project_id
  role    = "roles/datastore.user"
  member  = local.members[each.key]
}

# A build reads the source that Google copies into buckets of its own making, hence the whole project.
resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/storage.objectViewer"])

  project = var.project_id
  role    = each.value
  member  = local.members["build"]
}
