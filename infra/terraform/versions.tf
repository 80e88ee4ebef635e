terraform {
  # 1.11: write-only arguments keep secrets out of the state.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.40, < 8"
    }
  }

  # `make deploy` names the bucket, which ../bootstrap makes.
  backend "gcs" {
    prefix = "vchat"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Budgets are asked of the billing account, in the name of this project.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = { app = "vchat" }
}
