"""Whether results are what their run made: every table cell followed back to the downloaded file.

`records` reads what the jobs wrote down, `digests` compares it with the files, `rows` and `pages` make tidy
files and tables again, `reads` and `reach` say which tables depend on what; `verify` is the command.
"""
