# The bucket that holds the Terraform state: made once, before everything else, and left by a destroy.
# Its own state is a local file that may be lost: `make deploy` runs this only while the bucket is missing.

terraform {
  required_version = ">= 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.40, < 8"
    }
  }
}

variable "project_id" {
  description = "The Google Cloud project, as in ../terraform."
  type        = string
}

variable "region" {
  description = "The region of the bucket, as in ../terraform."
  type        = string
}

provider "google" {
  project = var.project_id
  region  = var.region
}

resource "google_storage_bucket" "state" {
  name                        = "${var.project_id}-vchat-state"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # A state that was overwritten by mistake can be brought back.
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 20
      with_state         = "ARCHIVED"
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

output "bucket" {
  description = "The name for `terraform init -backend-config=bucket=...`."
  value       = google_storage_bucket.state.name
}
