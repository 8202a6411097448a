"""From the files of all runs to what a reader sees: records, statistics, verdicts, tables, figures, pages."""
