"""A Qdrant server behind the index port, over REST or gRPC, through qdrant-client."""
