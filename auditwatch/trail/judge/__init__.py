"""The kind of a line, as a function of its bytes and the rules alone.

`judge` is the front. Whole lines pass through the decoder, many in one call (`bulk`); what the decoder refuses, and
that alone, goes to `explain`, which has the last word on every kind. `grammar`, `depth`, `dates`, `field_types` and
`json_schema` are what these two ask.

May import `trail` (kinds, rules, limits) and `errors`; pure.
"""
