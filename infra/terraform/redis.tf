# Volatile state: who is where, used tickets, the rooms' logs. Only the memorystore mode makes anything.

locals {
  memorystore = var.redis.mode == "memorystore" ? 1 : 0
  # No password: it could not be kept out of the state. The network holds nothing but V-Chat.
  memorystore_url = one([for redis in google_redis_instance.volatile : "redis://${redis.host}:${redis.port}/0"])
}

resource "google_compute_network" "private" {
  count = local.memorystore

  name                    = "vchat"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.this]
}

resource "google_compute_subnetwork" "private" {
  count = local.memorystore

  name          = "vchat"
  network       = google_compute_network.private[0].id
  region        = var.region
  ip_cidr_range = var.network.cidr
  # Pub/Sub, Firestore and Secret Manager stay reachable without a way to the internet.
  private_ip_google_access = true
}

resource "google_redis_instance" "volatile" {
  count = local.memorystore

  name               = "vchat"
  display_name       = "V-Chat volatile state"
  region             = var.region
  tier               = var.redis.highly_available ? "STANDARD_HA" : "BASIC"
  memory_size_gb     = var.redis.memory_gb
  redis_version      = "REDIS_7_2"
  authorized_network = google_compute_network.private[0].id
  connect_mode       = "DIRECT_PEERING"

  # A full Redis must refuse, not forget who sits where.
  redis_configs       = { "maxmemory-policy" = "noeviction" }
  deletion_protection = false # volatile by definition

  depends_on = [google_project_service.this]
}
