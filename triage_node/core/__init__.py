"""Pure rules of head-CT triage: no I/O, no DICOM toolkit, no database, no network library; numpy at most."""
