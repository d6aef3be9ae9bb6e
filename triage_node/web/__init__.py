"""The node's web side: today the health page and the metrics, without a patient on either."""
