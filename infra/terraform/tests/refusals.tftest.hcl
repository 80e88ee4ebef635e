# Everything that cannot work is refused before anything is asked of Google.

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

run "a_projects_name_is_refused" {
  command = plan
  variables {
    project_id = "My Project"
  }
  expect_failures = [var.project_id]
}

run "a_project_number_with_letters_is_refused" {
  command = plan
  variables {
    project_number = "my-project"
  }
  expect_failures = [var.project_number]
}

run "a_zone_for_a_region_is_refused" {
  command = plan
  variables {
    region = "europe-west1-b"
  }
  expect_failures = [var.region]
}

run "a_city_for_a_region_is_refused" {
  command = plan
  variables {
    region = "Frankfurt"
  }
  expect_failures = [var.region]
}

run "an_image_without_a_tag_is_refused" {
  command = plan
  variables {
    relay_image = "europe-west1-docker.pkg.dev/my-project/vchat/relay"
  }
  expect_failures = [var.relay_image]
}

run "the_latest_image_is_refused" {
  command = plan
  variables {
    relay_image = "europe-west1-docker.pkg.dev/my-project/vchat/relay:latest"
  }
  expect_failures = [var.relay_image]
}

run "an_archive_without_its_hash_is_refused" {
  command = plan
  variables {
    functions_archive = "functions.zip"
  }
  expect_failures = [var.functions_archive]
}

run "a_domain_with_a_scheme_is_refused" {
  command = plan
  variables {
    domain = "https://chat.example.com"
  }
  expect_failures = [var.domain]
}

run "an_origin_with_a_path_is_refused" {
  command = plan
  variables {
    origins = ["https://chat.example.com/"]
  }
  expect_failures = [var.origins]
}

run "any_origin_is_refused" {
  command = plan
  variables {
    origins = ["*"]
  }
  expect_failures = [var.origins]
}

run "an_origin_without_encryption_is_refused" {
  command = plan
  variables {
    origins = ["http://chat.example.com"]
  }
  expect_failures = [var.origins]
}

run "no_page_at_all_is_refused" {
  command = plan
  variables {
    demo = false
  }
  expect_failures = [var.origins]
}

run "no_shards_is_refused" {
  command = plan
  variables {
    relay = { shards = 0 }
  }
  expect_failures = [var.relay]
}

run "half_a_shard_is_refused" {
  command = plan
  variables {
    relay = { shards = 1.5 }
  }
  expect_failures = [var.relay]
}

run "an_endless_number_of_instances_is_refused" {
  command = plan
  variables {
    relay = { max_instances = 1000 }
  }
  expect_failures = [var.relay]
}

run "more_sockets_than_cloud_run_takes_is_refused" {
  command = plan
  variables {
    relay = { sockets = 1001 }
  }
  expect_failures = [var.relay]
}

run "half_a_cpu_is_refused" {
  command = plan
  variables {
    relay = { cpu = 0.5 }
  }
  expect_failures = [var.relay]
}

run "too_little_memory_for_the_cpus_is_refused" {
  command = plan
  variables {
    relay = { cpu = 4, memory = "512Mi" }
  }
  expect_failures = [var.relay]
}

run "no_instance_of_the_api_is_refused" {
  command = plan
  variables {
    api_max_instances = 0
  }
  expect_failures = [var.api_max_instances]
}

run "another_kind_of_redis_is_refused" {
  command = plan
  variables {
    redis = { mode = "valkey" }
  }
  expect_failures = [var.redis]
}

run "a_memorystore_without_memory_is_refused" {
  command = plan
  variables {
    redis = { memory_gb = 0 }
  }
  expect_failures = [var.redis]
}

run "a_memorystore_without_a_network_is_refused" {
  command = plan
  variables {
    redis   = { mode = "memorystore" }
    secrets = { VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}" }
  }
  expect_failures = [var.network]
}

run "a_memorystore_and_a_redis_url_is_refused" {
  command = plan
  variables {
    redis   = { mode = "memorystore" }
    network = { cidr = "10.8.0.0/26" }
  }
  expect_failures = [var.secrets]
}

run "a_network_that_is_too_small_is_refused" {
  command = plan
  variables {
    network = { cidr = "10.8.0.0/28" }
  }
  expect_failures = [var.network]
}

run "a_network_that_is_none_is_refused" {
  command = plan
  variables {
    network = { cidr = "ten" }
  }
  expect_failures = [var.network]
}

run "an_external_redis_without_its_url_is_refused" {
  command = plan
  variables {
    secrets = { VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}" }
  }
  expect_failures = [var.secrets]
}

run "a_redis_url_without_a_scheme_is_refused" {
  command = plan
  variables {
    secrets = { REDIS_URL = "redis.example.com:6379", VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}" }
  }
  expect_failures = [var.secrets]
}

run "signing_keys_that_are_no_keys_is_refused" {
  command = plan
  variables {
    secrets = { REDIS_URL = "rediss://user:password@redis.example.com:6379", VCHAT_SIGNING_KEYS = "secret" }
  }
  expect_failures = [var.secrets]
}

run "an_empty_key_set_is_refused" {
  command = plan
  variables {
    secrets = { REDIS_URL = "rediss://user:password@redis.example.com:6379", VCHAT_SIGNING_KEYS = "{\"keys\":[]}" }
  }
  expect_failures = [var.secrets]
}

run "a_version_of_an_unknown_secret_is_refused" {
  command = plan
  variables {
    secret_versions = { password = 2 }
  }
  expect_failures = [var.secret_versions]
}

run "an_address_that_is_no_e_mail_is_refused" {
  command = plan
  variables {
    alerts = { emails = ["you"] }
  }
  expect_failures = [var.alerts]
}

run "a_billing_account_by_name_is_refused" {
  command = plan
  variables {
    budget = { billing_account = "mine", amount = 20 }
  }
  expect_failures = [var.budget]
}

run "a_budget_of_nothing_is_refused" {
  command = plan
  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 0 }
  }
  expect_failures = [var.budget]
}

run "a_currency_sign_is_refused" {
  command = plan
  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 20, currency = "$" }
  }
  expect_failures = [var.budget]
}

run "a_redis_on_ones_own_machine_is_refused" {
  command = plan
  variables {
    secrets = { REDIS_URL = "redis://localhost:6379", VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}" }
  }
  expect_failures = [var.secrets]
}

run "a_secret_that_nothing_reads_is_refused" {
  command = plan
  variables {
    secrets = { REDIS_URL = "rediss://user:password@redis.example.com:6379", VCHAT_SIGNING_KEYS = "{\"keys\":[{\"kid\":\"a\"}]}", PASSWORD = "x" }
  }
  expect_failures = [var.secrets]
}

run "a_firebase_project_by_name_is_refused" {
  command = plan
  variables {
    integrations = { firebase = { project = "My Firebase" } }
  }
  expect_failures = [var.integrations]
}

run "a_livekit_without_encryption_is_refused" {
  command = plan
  variables {
    integrations = { livekit = { url = "ws://voice.example.com" } }
  }
  expect_failures = [var.integrations]
}

run "a_cookie_with_a_space_is_refused" {
  command = plan
  variables {
    integrations = { nextauth = { cookie = "my cookie" } }
  }
  expect_failures = [var.integrations]
}

run "vroid_without_a_way_back_is_refused" {
  command = plan
  variables {
    integrations = { vroid = { client_id = "id", return_urls = [] } }
  }
  expect_failures = [var.integrations]
}

run "a_way_back_with_a_query_is_refused" {
  command = plan
  variables {
    integrations = { vroid = { client_id = "id", return_urls = ["https://chat.example.com/?a=b"] } }
  }
  expect_failures = [var.integrations]
}

run "a_provider_without_its_secret_is_refused" {
  command = plan
  variables {
    integrations = { nextauth = {} }
  }
  expect_failures = [var.secrets]
}

run "a_seat_that_is_kept_for_days_is_refused" {
  command = plan
  variables {
    doze = { away_s = 90000 }
  }
  expect_failures = [var.doze]
}

run "a_role_with_a_hyphen_is_refused" {
  command = plan
  variables {
    role_suffix = "-2"
  }
  expect_failures = [var.role_suffix]
}

run "a_page_that_is_hidden_for_no_time_is_refused" {
  command = plan
  variables {
    doze = { hidden_s = 0 }
  }
  expect_failures = [var.doze]
}

run "a_page_that_is_idle_for_days_is_refused" {
  command = plan
  variables {
    doze = { idle_s = 90000 }
  }
  expect_failures = [var.doze]
}

run "half_a_socket_is_refused" {
  command = plan
  variables {
    relay = { sockets = 10.5 }
  }
  expect_failures = [var.relay]
}

run "a_secrets_version_before_the_first_is_refused" {
  command = plan
  variables {
    secret_versions = { REDIS_URL = 0 }
  }
  expect_failures = [var.secret_versions]
}

run "half_a_secrets_version_is_refused" {
  command = plan
  variables {
    secret_versions = { REDIS_URL = 1.5 }
  }
  expect_failures = [var.secret_versions]
}
