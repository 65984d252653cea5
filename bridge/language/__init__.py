"""The languages in which people write to Fester: YAML that is safe to read, and expressions.

`text` reads YAML from strangers, `text_positions` says where everything stood; `expressions` are
what stands between `${{` and `}}`, with the `filters` that they may use; `naming` makes names fit
for Backstage; `source` reports the mistakes of one file. Nothing here knows what is written.
"""
