"""The kind of a line, as a function of its bytes and the rules alone.

Start with `judge`. Whole lines pass through the decoder, many in one call (`bulk`). Lines that the decoder refuses, and
only those, go to `explain`, which has the last word on every kind. These use `grammar`, `depth`, `dates`,
`field_types` and `json_schema`.

May import `trail` (kinds, rules, limits) and `errors`; pure.
"""
