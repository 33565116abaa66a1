"""What is said on the wire: message types, their JSON Schemas and their codecs."""
