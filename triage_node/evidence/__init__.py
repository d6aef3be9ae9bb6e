"""From a reading to DICOM objects in the source study: a structured report, heatmaps and a key object selection."""
