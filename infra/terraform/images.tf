resource "google_artifact_registry_repository" "images" {
  repository_id = "vchat"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of V-Chat's relay and functions"

  # Storage above half a GiB costs; Cloud Run keeps its own copy of what it runs.
  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }
  cleanup_policies {
    id     = "drop-the-old"
    action = "DELETE"
    condition {
      older_than = "604800s" # a week
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]
}
