# For trying things out: nothing is kept when it is destroyed.
region    = "europe-west1"
demo      = true
keep_data = false
origins   = ["http://localhost:8080"]
