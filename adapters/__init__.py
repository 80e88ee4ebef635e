"""The world: one file per port and technology, named port_technology."""
