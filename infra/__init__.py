"""The way into a Google Cloud project, and what it costs there."""
