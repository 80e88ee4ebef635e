# The demo page: public files, the one bucket that everybody may read.

resource "google_storage_bucket" "demo" {
  count = var.demo ? 1 : 0

  name                        = local.demo_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  force_destroy               = true # can be made again from the repository

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "demo_public" {
  count = var.demo ? 1 : 0

  bucket = google_storage_bucket.demo[0].name
  # Reading a file, but not listing all of them.
  role   = "roles/storage.legacyObjectReader"
  member = "allUsers"
}
