# For people: data outlives a destroy, and whom you name below hears of trouble. Put your own values here.
region    = "europe-west1"
demo      = true
keep_data = true
origins   = []
relay     = { shards = 2 }

# alerts = { emails = ["you@example.com"] }
# budget = { billing_account = "012345-6789AB-CDEF01", amount = 20 }
# domain = "chat.example.com"
