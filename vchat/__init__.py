"""V-Chat's rules: pure values and decisions, wire formats, and the ports the world plugs into."""
