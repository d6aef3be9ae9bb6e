"""The API for programs, version 1, below ``/api/v1``: what the pages show and do, as JSON, CSV and PNG.

``studies``, ``series``, ``reading``, ``operations``, ``figures``  the routes, one module a subject
``study_models``, ``operation_models``, ``figure_models``  what goes in and out, each field with its unit
``openapi``, ``reference_page``  the description, for programs and for people
``entity``  answers with an ETag, and pages of a list

Every value is checked on its way in and every answer against its model on its way out; errors are RFC 9457 problems
(``web.problems``). Nothing is changed by GET, and what changes something names it in the audit trail.
"""
