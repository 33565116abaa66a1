"""Records framed by a schema registry, read through confluent-kafka's own client and deserializers."""
