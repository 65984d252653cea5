"""Answers for people in a hurry, put together from what is known; nobody is asked for them.

`identify` finds what was meant, `dependencies` walks the dependencies, `incident` puts the answer
together; `wording` says it in plain text and in Slack's blocks.
"""
