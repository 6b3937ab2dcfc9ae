"""The gRPC servers: the chain that every call goes through, validation, statuses, forwarding, listeners."""
