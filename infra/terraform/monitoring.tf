# What wakes a person, where `alerts` names one. docs/operations.md has a heading for each display name: what it
# means, what to do.

resource "google_logging_metric" "errors" {
  name        = "vchat/errors"
  description = "Errors logged by the api, the janitor and the relays, the platform's own (out of memory) included"
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^vchat-\" AND severity>=ERROR AND NOT log_id(\"run.googleapis.com/requests\")"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
    labels {
      key        = "service"
      value_type = "STRING"
    }
  }
  label_extractors = { service = "EXTRACT(resource.labels.service_name)" }
  depends_on       = [google_project_service.this]
}

resource "google_logging_metric" "janitor_failures" {
  name        = "vchat/janitor_failures"
  description = "Calls of the janitor that failed or never came through"
  filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${google_cloud_scheduler_job.janitor.name}\" AND severity>=ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# Google's own count of requests leaves out those that reached no container; the request log has them.
resource "google_logging_metric" "no_instance" {
  name        = "vchat/no_instance"
  description = "Requests to relays for which Cloud Run had no instance and might start none"
  filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^vchat-relay-\" AND log_id(\"run.googleapis.com/requests\") AND httpRequest.status=429 AND textPayload:\"no available instance\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

locals {
  of_relays = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"vchat-relay-[0-9]+\")"
  of_api    = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.api_name}\""
  by_relay  = ["resource.labels.service_name"]

  # The counters are sums over `period`, five minutes where none is named; a count has no value while nothing
  # happens, so only the others can be held against the threshold for `duration`.
  alerts = merge(
    {
      api_errors = {
        name      = "The api answers with errors"
        filter    = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_api} AND metric.labels.response_code_class=\"5xx\""
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = []
        threshold = 10
        duration  = "0s"
      }
      errors_logged = {
        name      = "Errors in the log"
        filter    = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.errors.name}\" AND resource.type=\"cloud_run_revision\""
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = ["metric.labels.service"]
        threshold = 5
        duration  = "0s"
      }
      janitor_fails = {
        name      = "The janitor fails"
        filter    = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.janitor_failures.name}\" AND resource.type=\"cloud_scheduler_job\""
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = []
        threshold = 1
        duration  = "0s"
        period    = "2400s" # of four calls, two fail
      }
      relay_full = {
        name      = "A relay is nearly full"
        filter    = "metric.type=\"run.googleapis.com/container/max_request_concurrencies\" AND ${local.of_relays}"
        aligner   = "ALIGN_PERCENTILE_99"
        reducer   = "REDUCE_MAX"
        group_by  = local.by_relay
        threshold = floor(var.relay.sockets * 0.8)
        duration  = "300s"
      }
      relay_refuses = {
        name      = "A relay turns people away"
        filter    = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.no_instance.name}\" AND resource.type=\"cloud_run_revision\""
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = local.by_relay
        threshold = 0
        duration  = "0s"
      }
      relay_cpu = {
        name      = "A relay is short of CPU"
        filter    = "metric.type=\"run.googleapis.com/container/cpu/utilizations\" AND ${local.of_relays}"
        aligner   = "ALIGN_PERCENTILE_99"
        reducer   = "REDUCE_MAX"
        group_by  = local.by_relay
        threshold = 0.8
        duration  = "600s"
      }
      relay_memory = {
        name      = "A relay is short of memory"
        filter    = "metric.type=\"run.googleapis.com/container/memory/utilizations\" AND ${local.of_relays}"
        aligner   = "ALIGN_PERCENTILE_99"
        reducer   = "REDUCE_MAX"
        group_by  = local.by_relay
        threshold = 0.85
        duration  = "300s"
      }
      door_refuses = {
        name      = "The door turns people away"
        filter    = local.counted["refused"]
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = local.by_relay
        threshold = 2 # minutes of five
        duration  = "0s"
      }
      redis_fails = {
        name      = "Redis does not answer"
        filter    = local.counted["redis_failed"]
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_SUM"
        group_by  = []
        threshold = 2
        duration  = "0s"
      }
      topics = {
        name      = "Pub/Sub is running out of topics"
        filter    = local.counted["topics"]
        aligner   = "ALIGN_DELTA"
        reducer   = "REDUCE_MEAN" # exact; a percentile would be guessed from buckets
        group_by  = []
        threshold = 7000 # of 10,000 in a project
        duration  = "0s" # counted every ten minutes only
      }
      # Every subscription has one series of this metric, so counting series counts subscriptions;
      # a topic in use has at least one.
      subscriptions = {
        name      = "Pub/Sub is running out of subscriptions"
        filter    = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\""
        aligner   = "ALIGN_MAX"
        reducer   = "REDUCE_COUNT"
        group_by  = []
        threshold = 7000 # of 10,000 in a project, which Google does not raise
        duration  = "600s"
      }
    },
    local.memorystore == 0 ? {} : {
      redis_memory = {
        name      = "Redis is nearly full"
        filter    = "metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\" AND resource.type=\"redis_instance\""
        aligner   = "ALIGN_MAX"
        reducer   = "REDUCE_MAX"
        group_by  = []
        threshold = 0.8
        duration  = "300s"
      }
    },
  )
}

resource "google_monitoring_alert_policy" "this" {
  # Each is charged by the month, so there is none that nobody would hear.
  for_each = { for name, alert in local.alerts : name => alert if length(local.channels) > 0 }

  display_name          = each.value.name
  combiner              = "OR"
  notification_channels = local.channels

  conditions {
    display_name = each.value.name
    condition_threshold {
      filter                  = each.value.filter
      comparison              = "COMPARISON_GT"
      threshold_value         = each.value.threshold
      duration                = each.value.duration
      evaluation_missing_data = each.value.duration == "0s" ? null : "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = lookup(each.value, "period", "300s")
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }
    }
  }

  documentation {
    content   = "See the heading \"${each.value.name}\" in docs/operations.md."
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  depends_on = [google_project_service.this]
}
