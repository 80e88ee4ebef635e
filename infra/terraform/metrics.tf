# Metrics out of the relays' log lines `minute` and the janitor's `swept` (docs/metrics.md): an instance
# that scales to zero is scraped by nobody.

locals {
  # What each line says as a number: by metric, the line's field.
  measured = {
    bus_lag_ms  = "busLagMs"
    events      = "events"
    people      = "members"
    redis_ms    = "redisMs"
    sent_bytes  = "sentBytes"
    traffic_usd = "trafficUsd"
  }
  # Minutes in which it happened at all.
  troubled = {
    bus_lost     = "busLost"
    redis_failed = "redisFailed"
    refused      = "refused"
    slow_readers = "slowReaders"
  }
  # Of the whole project, which may have 10,000 of each.
  held = {
    topics        = "bus.topics"
    subscriptions = "bus.subscriptions"
  }
  minutes = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^vchat-relay-\" AND jsonPayload.message=\"minute\""
  sweeps  = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"vchat-janitor\" AND jsonPayload.message=\"swept\""
}

resource "google_logging_metric" "measured" {
  for_each = merge(
    { for name, field in local.measured : name => { field = field, filter = local.minutes } },
    { for name, field in local.held : name => { field = field, filter = local.sweeps } },
  )

  name            = "vchat/${each.key}"
  description     = "${each.value.field} of each such line; see docs/metrics.md"
  filter          = "${each.value.filter} AND jsonPayload.${each.value.field}>=0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 64
      growth_factor      = 1.5
      scale              = 0.001
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "troubled" {
  for_each = local.troubled

  name        = "vchat/${each.key}"
  description = "Minutes of a relay with ${each.value} above 0; see docs/metrics.md"
  filter      = "${local.minutes} AND jsonPayload.${each.value}>0"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

locals {
  # How charts and alerts name them.
  counted = { for name, metric in merge(google_logging_metric.measured, google_logging_metric.troubled) :
  name => "metric.type=\"logging.googleapis.com/user/${metric.name}\" AND resource.type=\"cloud_run_revision\"" }
}
