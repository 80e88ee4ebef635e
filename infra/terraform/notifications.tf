# Where alerts go.

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alerts.emails

  display_name = "V-Chat: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  depends_on   = [google_project_service.this]
}

resource "google_pubsub_topic" "alerts" {
  count = var.alerts.topic ? 1 : 0

  name       = "vchat-alerts"
  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "pager" {
  count = var.alerts.topic ? 1 : 0

  name                       = "vchat-alerts--pager"
  topic                      = google_pubsub_topic.alerts[0].id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s" # a week
  expiration_policy {
    ttl = "" # never: alerts are rare
  }
}

resource "google_monitoring_notification_channel" "topic" {
  count = var.alerts.topic ? 1 : 0

  display_name = "V-Chat: topic vchat-alerts"
  type         = "pubsub"
  labels       = { topic = google_pubsub_topic.alerts[0].id }
}

resource "google_pubsub_topic_iam_member" "alerts" {
  count = var.alerts.topic ? 1 : 0

  topic  = google_pubsub_topic.alerts[0].id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"

  # Google makes this account with the project's first channel of the kind.
  depends_on = [google_monitoring_notification_channel.topic]
}

locals {
  channels = concat(
    [for channel in google_monitoring_notification_channel.email : channel.id],
    google_monitoring_notification_channel.topic[*].id,
  )
}
