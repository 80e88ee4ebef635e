# The shapes a deployment can take.

mock_provider "google" {}

variables {
  project_id     = "my-project"
  project_number = "123456789012"
  region         = "europe-west1"
  secrets = {
    REDIS_URL          = "rediss://user:password@redis.example.com:6379"
    VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}"
  }
  functions_archive = "functions-0123456789abcdef.zip"
}

run "shards_are_equal_services" {
  command = plan
  variables {
    relay = { shards = 3, max_instances = 2, sockets = 800 }
  }

  assert {
    condition     = keys(google_cloud_run_v2_service.relay) == ["relay-0", "relay-1", "relay-2"] && length(output.relay_urls) == 3
    error_message = "Three shards are not three services."
  }
  assert {
    condition     = alltrue([for relay in google_cloud_run_v2_service.relay : relay.template[0].scaling[0].max_instance_count == 2 && relay.template[0].max_instance_request_concurrency == 800])
    error_message = "The shards differ from what was asked."
  }
}

run "memorystore_comes_with_a_private_network" {
  command = plan
  variables {
    redis   = { mode = "memorystore" }
    secrets = { VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}" }
    network = { cidr = "10.8.0.0/26" }
  }

  assert {
    condition     = length(google_redis_instance.volatile) == 1 && length(google_compute_subnetwork.private) == 1
    error_message = "Memorystore or its network is missing."
  }
  assert {
    condition     = google_cloud_run_v2_service.relay["relay-0"].template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "The relay does not reach the private network."
  }
  assert {
    condition     = !contains(keys(google_secret_manager_secret.this), "REDIS_URL")
    error_message = "There is a secret for a URL without a password."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "redis.googleapis.com") && contains(keys(google_project_service.this), "compute.googleapis.com")
    error_message = "An API that Memorystore needs is not enabled."
  }
}

run "a_domain_hides_the_addresses_of_cloud_run" {
  command = plan
  variables {
    domain = "chat.example.com"
    relay  = { shards = 2 }
  }

  assert {
    condition     = output.api_url == "https://chat.example.com/api" && output.relay_urls == ["wss://chat.example.com/relay-0", "wss://chat.example.com/relay-1"]
    error_message = "The addresses are not those of the domain."
  }
  assert {
    condition     = alltrue([for relay in google_cloud_run_v2_service.relay : relay.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"])
    error_message = "A relay can be reached past the load balancer."
  }
  assert {
    condition     = length(google_compute_backend_service.this) == 3
    error_message = "The api and the relays are not all behind the load balancer."
  }
}

run "alerts_reach_people_and_a_topic" {
  command = plan
  variables {
    alerts = { emails = ["you@example.com"], topic = true }
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 20 }
  }

  assert {
    condition     = google_pubsub_topic.alerts[0].name == "vchat-alerts" && length(google_monitoring_notification_channel.email) == 1
    error_message = "Alerts do not arrive."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == length(local.alerts)
    error_message = "There is somebody to hear alerts, and some are not made."
  }
  assert {
    condition     = google_billing_budget.this[0].amount[0].specified_amount[0].units == "20"
    error_message = "The budget is another amount."
  }
}

run "without_the_demo_there_is_no_public_bucket" {
  command = plan
  variables {
    demo    = false
    origins = ["https://chat.example.com"]
  }

  assert {
    condition     = length(google_storage_bucket_iam_member.demo_public) == 0 && output.demo_url == null
    error_message = "There is a public bucket nobody asked for."
  }
}

run "nothing_is_kept_when_nothing_should_be" {
  command = plan
  variables {
    keep_data = false
  }

  assert {
    condition     = google_firestore_database.main.deletion_policy == "DELETE"
    error_message = "The database would stay."
  }
}

run "integrations_are_on_when_they_are_named" {
  command = plan
  variables {
    integrations = {
      firebase = { project = "my-firebase" }
      livekit  = { url = "wss://voice.example.com" }
      nextauth = {}
      vroid    = { client_id = "id", return_urls = ["https://chat.example.com/"] }
    }
    secrets = {
      LIVEKIT_API_KEY     = "key"
      LIVEKIT_API_SECRET  = "secret"
      NEXTAUTH_SECRET     = "secret"
      REDIS_URL           = "rediss://user:password@redis.example.com:6379"
      VCHAT_SIGNING_KEYS  = "{\"keys\":[{\"kid\":\"a\"}]}"
      VCHAT_VAULT_KEY     = "key"
      VROID_CLIENT_SECRET = "secret"
    }
  }

  assert {
    condition     = google_cloudfunctions2_function.this["api"].service_config[0].environment_variables["LIVEKIT_URL"] == "wss://voice.example.com"
    error_message = "The api does not know where the voices are."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.this["api"].service_config[0].secret_environment_variables) == 6 && length(google_cloudfunctions2_function.this["janitor"].service_config[0].secret_environment_variables) == 1
    error_message = "The secrets of integrations are not the api's alone."
  }
}

run "integrations_are_off_by_default" {
  command = plan

  assert {
    condition     = keys(google_secret_manager_secret.this) == ["REDIS_URL", "VCHAT_SIGNING_KEYS"]
    error_message = "There is a secret for a provider that nobody asked for."
  }
}

run "roles_can_have_other_ids_while_google_keeps_the_deleted_ones" {
  command = plan
  variables {
    role_suffix = "_2"
  }

  assert {
    condition     = google_project_iam_custom_role.pubsub["relay"].role_id == "vchat_relay_pubsub_2"
    error_message = "The role keeps its id."
  }
  assert {
    condition     = endswith(google_project_iam_member.pubsub["relay"].role, "/roles/vchat_relay_pubsub_2")
    error_message = "The relays are given another role."
  }
}
