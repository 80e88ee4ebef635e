# What must last. Indexes and expiry are one list that the adapter and this file share.

locals {
  firestore = jsondecode(file("${path.module}/../firestore.json"))
}

resource "google_firestore_database" "main" {
  name        = "(default)" # the project's one database with a free quota
  location_id = var.region
  type        = "FIRESTORE_NATIVE"

  delete_protection_state = var.keep_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = var.keep_data ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.this]
}

resource "google_firestore_index" "this" {
  for_each = { for index in local.firestore.indexes : join("-", concat([index.collection], [for field in index.fields : field.path])) => index }

  database    = google_firestore_database.main.name
  collection  = each.value.collection
  query_scope = "COLLECTION"

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.path
      order        = fields.value.order
      array_config = fields.value.array_config
    }
  }
}

resource "google_firestore_field" "expiry" {
  for_each = { for ttl in local.firestore.ttl : ttl.collection => ttl.field }

  database   = google_firestore_database.main.name
  collection = each.key
  field      = each.value
  ttl_config {}
  # An index on a rising time makes one hot spot of all writes, and nobody asks by it.
  index_config {}
}
