"""The local stack: the real Kafka, Kafka Connect and PostgreSQL as child processes, from packages alone."""
