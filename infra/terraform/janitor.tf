# Every ten minutes: what a crashed relay left in Pub/Sub, and what has expired.

resource "google_cloud_scheduler_job" "janitor" {
  name             = "vchat-janitor"
  description      = "Wakes the janitor"
  region           = var.region
  schedule         = "*/10 * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "320s" # a little more than the janitor's own

  http_target {
    http_method = "POST"
    uri         = "https://${local.run_host["janitor"]}/"
    oidc_token {
      service_account_email = local.emails["scheduler"]
      audience              = "https://${local.run_host["janitor"]}"
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.janitor]
}

resource "google_cloud_run_v2_service_iam_member" "janitor" {
  name     = google_cloudfunctions2_function.this["janitor"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.members["scheduler"]
}
