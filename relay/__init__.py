"""The relay: browsers meet over WebSockets, one process per Cloud Run instance."""
