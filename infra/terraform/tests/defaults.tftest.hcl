# What a plan with as few words as possible makes: nothing that costs while nobody is there.

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

run "nothing_runs_while_nobody_is_there" {
  command = plan

  assert {
    condition     = alltrue([for relay in google_cloud_run_v2_service.relay : relay.template[0].scaling[0].min_instance_count == 0])
    error_message = "A relay stays awake."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.service_config[0].min_instance_count == 0])
    error_message = "A function stays awake."
  }
  assert {
    condition     = alltrue([for relay in google_cloud_run_v2_service.relay : relay.template[0].containers[0].resources[0].cpu_idle])
    error_message = "A relay is paid for between requests."
  }
  assert {
    condition     = length(google_redis_instance.volatile) + length(google_compute_network.private) + length(google_compute_global_forwarding_rule.https) == 0
    error_message = "Something that costs by the hour is on by default."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == 0
    error_message = "There are alerts, which cost by the month, and nobody to hear them."
  }
}

run "addresses_are_known_before_anything_exists" {
  command = plan

  assert {
    condition     = output.api_url == "https://vchat-api-123456789012.europe-west1.run.app"
    error_message = "The api's address is not the one Cloud Run gives."
  }
  assert {
    condition     = output.relay_urls == ["wss://vchat-relay-0-123456789012.europe-west1.run.app"]
    error_message = "The relay's address is not the one Cloud Run gives."
  }
}

run "a_socket_may_stay_as_long_as_cloud_run_allows" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.relay["relay-0"].template[0].timeout == "3600s"
    error_message = "Sockets are cut early."
  }
  assert {
    condition     = google_cloud_run_v2_service.relay["relay-0"].template[0].max_instance_request_concurrency == 500
    error_message = "An instance holds another number of sockets than said."
  }
}

run "data_outlives_a_destroy_by_default" {
  command = plan

  assert {
    condition     = google_firestore_database.main.deletion_policy == "ABANDON" && google_firestore_database.main.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "A destroy would delete accounts and rooms."
  }
}
