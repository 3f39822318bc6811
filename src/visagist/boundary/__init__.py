"""The boundary to what strangers wrote: files, JSON, tensors, terminals, and which files may be replaced."""
