# One domain in front of everything. Only with `domain`: a load balancer costs by the hour.

locals {
  backends = var.domain == null ? {} : merge(
    { api = google_cloudfunctions2_function.this["api"].name },
    { for name, relay in google_cloud_run_v2_service.relay : name => relay.name },
  )
  balanced = var.domain == null ? 0 : 1
}

resource "google_compute_region_network_endpoint_group" "this" {
  for_each = local.backends

  name                  = "vchat-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = each.value
  }
}

resource "google_compute_backend_service" "this" {
  for_each = local.backends

  name                  = "vchat-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  backend {
    group = google_compute_region_network_endpoint_group.this[each.key].id
  }
}

resource "google_compute_url_map" "https" {
  count = local.balanced

  name            = "vchat"
  default_service = google_compute_backend_service.this["api"].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "vchat"
  }

  path_matcher {
    name            = "vchat"
    default_service = google_compute_backend_service.this["api"].id

    dynamic "path_rule" {
      for_each = local.backends
      content {
        paths   = ["/${path_rule.key}/*"]
        service = google_compute_backend_service.this[path_rule.key].id
        route_action {
          # Behind the balancer nobody knows of the prefix.
          url_rewrite {
            path_prefix_rewrite = "/"
          }
        }
      }
    }
  }
}

resource "google_compute_url_map" "http" {
  count = local.balanced

  name = "vchat-http"
  default_url_redirect {
    https_redirect = true
    strip_query    = false
  }

  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "this" {
  count = local.balanced

  name = "vchat-${replace(var.domain, ".", "-")}"
  managed {
    domains = [var.domain]
  }

  # A certificate cannot be changed, and one in use cannot be removed.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.this]
}

resource "google_compute_target_https_proxy" "this" {
  count = local.balanced

  name             = "vchat"
  url_map          = google_compute_url_map.https[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[0].id]
}

resource "google_compute_target_http_proxy" "this" {
  count = local.balanced

  name    = "vchat"
  url_map = google_compute_url_map.http[0].id
}

resource "google_compute_global_address" "this" {
  count = local.balanced

  name       = "vchat"
  depends_on = [google_project_service.this]
}

resource "google_compute_global_forwarding_rule" "https" {
  count = local.balanced

  name                  = "vchat-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[0].id
}

resource "google_compute_global_forwarding_rule" "http" {
  count = local.balanced

  name                  = "vchat-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this[0].id
  port_range            = "80"
  target                = google_compute_target_http_proxy.this[0].id
}
