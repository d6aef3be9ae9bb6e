"""A DICOM node that triages head CT for intracranial hemorrhage.

A study travels from left to right; each package is a station, and the stations sort in the order of travel::

    arrival -> assembly -> cascade -> evidence -> forwarding
        |          |          |          |            |
        +----------+----- worklist (SQL) -+------------+

- ``arrival``: Storage SCP and spool; an instance is on disk before its sender reads Success
- ``assembly``: headers and pixels of a series become an ordered volume in HU, or a refusal with its reason
- ``cascade``: CNN per slice, RNN over slices, first hemorrhage or not, then its five kinds; Grad-CAM
- ``core``: the rules, pure: geometry, eligibility, states, statuses, ports
- ``evidence``: Structured Report, heatmaps and key objects in the source study
- ``forwarding``: evidence to the destinations, by C-STORE, STOW-RS and what else they speak; storage commitment
- ``pipeline``: the order of the path, its Celery tasks and its clock
- ``phantom``: made-up head CT with the five kinds of blood
- ``training``: data sets, training, honest evaluation
- ``web``: health page and metrics
- ``worklist``: the results database
- ``cli``, ``terminal``, ``demo``, ``bench``, ``self_check``, ``conformance_statement``: the command and what it shows
- ``supervisor``, ``wiring``, ``settings``, ``logs``: what the processes stand on
"""
