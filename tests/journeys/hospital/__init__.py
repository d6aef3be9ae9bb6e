"""What stands around the node in a journey: studies, a scanner, a PACS, Orthanc, and the node as installed."""
