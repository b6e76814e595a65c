"""What a report holds: tables, figures, sentences and macros, from the results of a study."""
