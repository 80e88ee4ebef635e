"""The operator's tools: look into a running V-Chat, and put people into it who are not there."""
