# Every public address, known before anything exists: the api and the relays name each other, and
# addresses taken from the finished services would make a circle.

locals {
  api_name    = "vchat-api"
  relay_names = [for shard in range(var.relay.shards) : "relay-${shard}"]

  run_host   = { for name in concat(["api", "janitor"], local.relay_names) : name => "vchat-${name}-${var.project_number}.${var.region}.run.app" }
  api_url    = var.domain == null ? "https://${local.run_host["api"]}" : "https://${var.domain}/api"
  relay_urls = [for name in local.relay_names : var.domain == null ? "wss://${local.run_host[name]}" : "wss://${var.domain}/${name}"]

  # A bucket has an origin of its own only under this name; at storage.googleapis.com/bucket the
  # page would share its storage with every other page there.
  demo_bucket = "${var.project_id}-vchat-demo"
  demo_origin = "https://${local.demo_bucket}.storage.googleapis.com"
  origins     = sort(setunion(var.origins, var.demo ? [local.demo_origin] : []))
}
