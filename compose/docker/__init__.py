"""The stack in containers: images, a compose file, and what a machine without an image registry needs for both."""
