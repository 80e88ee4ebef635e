# One page that answers: is somebody there, is it well, what does it cost.

locals {
  charts = [
    { title = "Sockets per relay instance", filter = "metric.type=\"run.googleapis.com/container/max_request_concurrencies\" AND ${local.of_relays}", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Relay instances (billed while active)", filter = "metric.type=\"run.googleapis.com/container/instance_count\" AND ${local.of_relays}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group_by = ["metric.labels.state"] },
    { title = "Bytes sent by relays, per second", filter = "metric.type=\"run.googleapis.com/container/network/sent_bytes_count\" AND ${local.of_relays}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = local.by_relay },
    { title = "Relay CPU", filter = "metric.type=\"run.googleapis.com/container/cpu/utilizations\" AND ${local.of_relays}", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Relay memory", filter = "metric.type=\"run.googleapis.com/container/memory/utilizations\" AND ${local.of_relays}", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Relay start-up, milliseconds", filter = "metric.type=\"run.googleapis.com/container/startup_latencies\" AND ${local.of_relays}", aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Api requests per second, by answer", filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.of_api}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group_by = ["metric.labels.response_code_class"] },
    { title = "Api latency, milliseconds", filter = "metric.type=\"run.googleapis.com/request_latencies\" AND ${local.of_api}", aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", group_by = [] },
    { title = "Errors logged", filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.errors.name}\" AND resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = ["metric.labels.service"] },
    { title = "Calls of the janitor that failed", filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.janitor_failures.name}\" AND resource.type=\"cloud_scheduler_job\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = [] },
    { title = "Pub/Sub subscriptions (of 10,000)", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_COUNT", group_by = [] },
    { title = "People, mean of the relays", filter = local.counted["people"], aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", group_by = local.by_relay },
    { title = "Events a minute, mean of the relays", filter = local.counted["events"], aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", group_by = local.by_relay },
    { title = "Traffic a minute, USD, mean of the relays", filter = local.counted["traffic_usd"], aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", group_by = local.by_relay },
    { title = "Bytes to browsers a minute, mean of the relays", filter = local.counted["sent_bytes"], aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", group_by = local.by_relay },
    { title = "Redis, milliseconds", filter = local.counted["redis_ms"], aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Bus lag, milliseconds", filter = local.counted["bus_lag_ms"], aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group_by = local.by_relay },
    { title = "Requests without an instance", filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.no_instance.name}\" AND resource.type=\"cloud_run_revision\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = local.by_relay },
    { title = "Minutes with people turned away", filter = local.counted["refused"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = local.by_relay },
    { title = "Minutes with slow readers closed", filter = local.counted["slow_readers"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = local.by_relay },
    { title = "Minutes with lost bus messages", filter = local.counted["bus_lost"], aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = local.by_relay },
    { title = "Topics (of 10,000), counted by the janitor", filter = local.counted["topics"], aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", group_by = [] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "V-Chat"
    mosaicLayout = {
      columns = 48
      # Google does not give back zeros and empty lists; written here they would be a change for ever.
      tiles = [for position, chart in local.charts : merge({ for side, at in { xPos = position % 2 * 24, yPos = floor(position / 2) * 16 } : side => at if at > 0 }, {
        width  = 24
        height = 16
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = merge({
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart.aligner
                    crossSeriesReducer = chart.reducer
                  }, { for key, fields in { groupByFields = chart.group_by } : key => fields if length(fields) > 0 })
                }
              }
            }]
          }
        }
      })]
    }
  })

  depends_on = [google_project_service.this]
}
