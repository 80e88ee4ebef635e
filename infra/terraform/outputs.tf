output "api_url" {
  description = "The api's base address, for the SDK and the smoke test."
  value       = local.api_url
}

output "demo_bucket" {
  description = "The bucket that takes the demo page, if there is one."
  value       = one(google_storage_bucket.demo[*].name)
}

output "demo_url" {
  description = "The demo page, if there is one."
  value       = var.demo ? "${local.demo_origin}/index.html" : null
}

output "dns" {
  description = "The record to make at your name server, with a domain."
  value       = var.domain == null ? null : "${var.domain}. A ${google_compute_global_address.this[0].address}"
}

output "kept" {
  description = "What a destroy leaves on purpose."
  value = concat(
    var.keep_data ? ["Firestore database ${google_firestore_database.main.name}: accounts and rooms"] : [],
    ["the enabled APIs", "the bucket of the Terraform state"],
  )
}

output "relay_image" {
  description = "The image that the relays run."
  value       = var.relay_image
}

output "relay_urls" {
  description = "The relays' base addresses; a ticket names the one to use."
  value       = local.relay_urls
}

output "smoke_origin" {
  description = "An allowed origin, which the smoke test sends."
  value       = local.origins[0]
}

output "voice_url" {
  description = "The LiveKit server, which the demo page may connect to, if there is one."
  value       = try(var.integrations.livekit.url, null)
}

output "vroid_hub" {
  description = "Whether people may wear VRoid Hub's models, so that the demo page may load them from where the Hub keeps them."
  value       = var.integrations.vroid != null
}
