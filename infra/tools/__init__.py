"""Commands for whoever deploys V-Chat; each says more with --help."""
