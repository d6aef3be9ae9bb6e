"""The last station: what was written goes to the PACS, and what the PACS said of it comes back."""
