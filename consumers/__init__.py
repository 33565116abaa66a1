"""The processes on the bus: the consume loop, the chunker and the embedder."""
